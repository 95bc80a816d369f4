"""Places the matrices of a model on crossbar macros, and keeps conductances in files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hw.spec.crossbar import Crossbar, IdealConverter
from sw.convert.container import ConvertedModel, write_whole
from sw.errors import UserError
from sw.golden.crossbar import nibbles
from sw.golden.crossbar_linear import matrix_numbers

MAGIC = "firstspike conductances"
VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """A matrix on macros.

    Attributes
    ----------
    name : str
        The matrix.
    inputs, columns : int
        Inputs, and columns of 4-bit weights: two for an 8-bit one.
    macros : int
        Macros that hold it.
    utilization : float
        Share of their cells that hold weights.
    slices : int
        Readings of an output.
    levels : int
        Levels of a cell.
    beyond : int
        Weights that the mapping cannot hold.
    """

    name: str
    inputs: int
    columns: int
    macros: int
    utilization: float
    slices: int
    levels: int
    beyond: int


def place(model: ConvertedModel, crossbar: Crossbar) -> list[Placement]:
    """Split every matrix into macros, rows first; partial sums are added digitally."""
    mapping = crossbar.cells
    held = torch.tensor([mapping.holds(w) for w in range(-8, 8)])
    rows = max(crossbar.macro_rows // crossbar.polarities, crossbar.rows)
    columns = crossbar.macro_columns // crossbar.bit_lines
    found = []
    for name in matrix_numbers(model):
        weights = nibbles(model.head if name == "head" else model.matrices[name])
        inputs, width = weights.shape
        macros = -(-inputs // rows) * -(-width // columns)
        found.append(
            Placement(
                name=name,
                inputs=inputs,
                columns=width,
                macros=macros,
                utilization=inputs * width / (macros * rows * columns),
                slices=len(mapping.readings),
                levels=1 + max(cell.largest for _, _, cell in mapping.cells),
                beyond=int((~held[weights + 8]).sum()),
            )
        )
    return found


def converter_range(crossbar: Crossbar) -> str:
    """Describe the currents that the converter can tell, in levels."""
    if isinstance(crossbar.converter, IdealConverter):
        return "every"
    low, high = crossbar.converter.range(crossbar.cells.readings[0].signed)
    return f"{low * crossbar.converter.value}..{high * crossbar.converter.value}"


def fingerprint(crossbar: Crossbar) -> str:
    """Hash of what conductances follow from: mapping, signs, cells and seed."""
    parts = {
        "mapping": crossbar.mapping,
        "signs": crossbar.signs,
        "rows": crossbar.rows,
        "clip": crossbar.clip,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_conductances(
    path: Path, cells: dict[str, dict[str, Tensor]], model: ConvertedModel, crossbar: Crossbar
) -> None:
    """Write the conductances of all matrices; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        A safetensors file: per matrix and kind of cell one int16 array, shape (rows, columns), in
        1/256 level.
    cells : dict
        By matrix, then by kind: ``CrossbarArrays.cells``.
    model : ConvertedModel
        Whose weights they hold.
    crossbar : Crossbar
        The arrays.
    """
    header = {
        "version": VERSION,
        "source": model.source,
        "fingerprint": fingerprint(crossbar),
        "crossbar": dataclasses.asdict(crossbar),
    }
    tensors = {
        f"{name}/{kind}": values.to(torch.int16).contiguous()
        for name, kinds in cells.items()
        for kind, values in kinds.items()
    }
    write_whole(path, save(tensors, metadata={MAGIC: json.dumps(header)}))


def load_conductances(
    path: Path, model: ConvertedModel, crossbar: Crossbar
) -> dict[str, dict[str, Tensor]]:
    """Read conductances.

    Raises
    ------
    UserError
        If the file is missing, no such file, of another version, another model or another mapping.
    """
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[MAGIC])
            found: dict[str, dict[str, Tensor]] = {}
            for key in file.keys():  # noqa: SIM118 - not a dict
                name, kind = key.split("/")
                found.setdefault(name, {})[kind] = file.get_tensor(key).int()
    except (SafetensorError, KeyError, ValueError):
        raise UserError(
            f"{path} holds no conductances, or it is truncated; make it with `firstspike crossbar "
            "export`"
        ) from None
    if header["version"] != VERSION:
        raise UserError(f"{path} has version {header['version']}, this program reads {VERSION}")
    if header["source"] != model.source:
        raise UserError(f"{path} holds the conductances of another model; export them again")
    if header["fingerprint"] != fingerprint(crossbar):
        theirs = header["crossbar"]
        raise UserError(
            f"{path} holds conductances of mapping {theirs['mapping']!r} with signs "
            f"{theirs['signs']!r} and {theirs['rows']} rows, not of {crossbar.mapping!r} with "
            f"{crossbar.signs!r} and {crossbar.rows}; name the device that they are of"
        )
    return found
