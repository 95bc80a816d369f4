"""The device image: a converted model laid out for one hardware configuration.

Layout: ``hw/spec/formats.py``. The file is safetensors: per matrix one array of 32-bit words, as
the core's memory window takes them, and a JSON header with the layout's version, the hash of the
configuration and the hash of the model.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hw.spec.codes import BLOCK, TABLES
from hw.spec.formats import FORMATS, IMAGE_VERSION, SUM_BEATS, W4, WeightFormat
from hw.spec.params import CoreParams
from sw.convert.container import ConvertedModel, WeightMatrix, write_whole
from sw.errors import UserError
from sw.golden.linear import input_site

MAGIC = "firstspike image"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixImage:
    """A matrix as it lies in synapse memory.

    Attributes
    ----------
    format : WeightFormat
        4-bit or 8-bit codes.
    rows, inputs : int
        Outputs and inputs, padding excluded.
    words : numpy.ndarray
        uint32, shape (tiles, groups, beats of a group, words of a beat).
    sums : bool
        Groups have row sums.
    """

    format: WeightFormat
    rows: int
    inputs: int
    words: np.ndarray
    sums: bool = False

    @property
    def group_beats(self) -> int:
        """Beats of a group."""
        return self.format.group_beats(sums=self.sums)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceImage:
    """Every matrix of a model, for cores of one configuration.

    Attributes
    ----------
    name : str
        The model's name.
    source : dict
        The model's provenance.
    configuration : str
        Hexadecimal hash of the hardware configuration.
    table : str
        Code table for whose silent levels row sums were laid out, or not.
    matrices : dict of str to MatrixImage
        By the converted model's names.
    """

    name: str
    source: dict
    configuration: str
    table: str
    matrices: dict[str, MatrixImage]

    def save(self, path: Path | str) -> None:
        """Write the image; the file appears whole or not at all."""
        header = {
            "version": IMAGE_VERSION,
            "name": self.name,
            "source": self.source,
            "configuration": self.configuration,
            "table": self.table,
            "matrices": {n: [m.format.name, m.rows, m.inputs] for n, m in self.matrices.items()},
            "row_sums": [n for n, m in self.matrices.items() if m.sums],
        }
        tensors = {name: matrix.words for name, matrix in self.matrices.items()}
        write_whole(Path(path), save(tensors, metadata={MAGIC: json.dumps(header)}))


def load_image(path: Path | str) -> DeviceImage:
    """Read a device image.

    Raises
    ------
    UserError
        If the file is missing, no image of ours, damaged, or of another layout version.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[MAGIC])
            words = {name: file.get_tensor(name) for name in header["matrices"]}
    except (SafetensorError, KeyError, ValueError):
        raise UserError(
            f"{path} is not a device image, or it is truncated; make one with `firstspike compile`"
        ) from None
    if header["version"] != IMAGE_VERSION:
        raise UserError(
            f"{path} has image layout {header['version']}, this program drives layout "
            f"{IMAGE_VERSION}; compile the model again"
        )
    return DeviceImage(
        name=header["name"],
        source=header["source"],
        configuration=header["configuration"],
        table=header["table"],
        matrices={
            name: MatrixImage(
                format=FORMATS[kind],
                rows=rows,
                inputs=inputs,
                words=words[name],
                sums=name in header["row_sums"],
            )
            for name, (kind, rows, inputs) in header["matrices"].items()
        },
    )


def needs_sums(table: str, silent_level: int) -> bool:
    """Tell whether silent codes stand for another value than 0, which takes row sums."""
    return silent_level != TABLES[table].zero


def compile_model(
    model: ConvertedModel, params: CoreParams, *, name: str, table: str | None = None
) -> DeviceImage:
    """Lay out a model for a configuration.

    Parameters
    ----------
    model : ConvertedModel
        What to lay out; a tied embedding is laid out once, as ``head``.
    params : CoreParams
        Configuration of the core.
    name : str
        Name of the configuration, for messages.
    table : str, optional
        Code table that the image shall serve; the model's own if absent.

    Raises
    ------
    UserError
        If a matrix has more inputs than the core, or 8-bit weights meet an odd number of lanes.
    """
    table = table or model.table
    matrices = {n: m for n, m in model.matrices.items() if n.startswith("layers.")}
    matrices["head"] = model.head
    for matrix_name, matrix in matrices.items():
        if matrix.inputs > params.max_inputs:
            raise UserError(
                f"{matrix_name} has {matrix.inputs} inputs, configuration {name} takes at most "
                f"{params.max_inputs}; choose a larger configuration"
            )
        if params.lanes % matrix.format.lanes_per_output:
            raise UserError(
                f"{matrix_name} has 8-bit weights, which need an even number of lanes; "
                f"configuration {name} has {params.lanes}"
            )
    return DeviceImage(
        name=model.name,
        source=model.source,
        configuration=f"{params.hash:016x}",
        table=table,
        matrices={
            n: pack_matrix(
                m,
                params.lanes,
                sums=needs_sums(table, model.quantizer(input_site(n), table).silent_level),
            )
            for n, m in matrices.items()
        },
    )


def pack_matrix(matrix: WeightMatrix, lanes: int, *, sums: bool = False) -> MatrixImage:
    """Lay out a matrix in tiles of ``lanes`` lanes; what is missing to a tile or group is zero."""
    layout = matrix.format
    outputs, groups = layout.outputs(lanes), matrix.groups
    tiles = layout.tiles(matrix.rows, lanes)
    whole = np.zeros((tiles * outputs, groups * BLOCK), np.int8)
    whole[: matrix.rows, : matrix.inputs] = matrix.codes
    codes = whole.reshape(tiles, outputs, groups, BLOCK).transpose(0, 2, 3, 1)
    scales = [matrix.d, matrix.b] if layout is W4 else [matrix.d]
    scale_bytes = np.zeros((tiles, groups, len(scales), outputs), np.uint8)
    for i, scale in enumerate(scales):
        padded = np.zeros((tiles * outputs, groups), np.int8)
        padded[: matrix.rows] = scale
        scale_bytes[:, :, i] = padded.reshape(tiles, outputs, groups).transpose(0, 2, 1)
    rows = _planes(codes) if layout is not W4 else codes.astype(np.uint8) & 15
    parts = [_nibbles(scale_bytes).reshape(tiles, groups, layout.scale_beats, lanes), rows]
    if sums:
        parts.insert(1, _row_sums(rows, matrix.inputs))
    return MatrixImage(
        format=layout,
        rows=matrix.rows,
        inputs=matrix.inputs,
        words=_words(np.concatenate(parts, axis=2)),
        sums=sums,
    )


def _row_sums(rows: np.ndarray, inputs: int) -> np.ndarray:
    """Sum the nibbles of each lane over a group's inputs; give the sums' own nibbles in beats."""
    tiles, groups, _, lanes = rows.shape
    weights = (rows ^ 8).astype(np.int16).reshape(tiles, -1, lanes) - 8
    weights[:, inputs:] = 0
    sums = weights.reshape(rows.shape).sum(axis=2, dtype="<i2")
    as_bytes = np.ascontiguousarray(sums).view(np.uint8)
    return _nibbles(as_bytes).reshape(tiles, groups, SUM_BEATS, lanes)


def _nibbles(values: np.ndarray) -> np.ndarray:
    """Split bytes into nibbles along the last axis, the low one first."""
    return np.stack([values & 15, values >> 4], axis=-1).reshape(*values.shape[:-1], -1)


def _planes(codes: np.ndarray) -> np.ndarray:
    """Split 8-bit codes ``16 * h + l + 8`` into lanes l, h."""
    bits = codes.astype(np.uint8)
    return np.stack([bits & 15 ^ 8, bits >> 4], axis=-1).reshape(*codes.shape[:-1], -1)


def _words(nibbles: np.ndarray) -> np.ndarray:
    """Pack nibbles along the last axis into 32-bit words, the first in the lowest bits."""
    *shape, lanes = nibbles.shape
    padded = np.zeros((*shape, -(-lanes // 8) * 8), np.uint8)
    padded[..., :lanes] = nibbles
    pairs = np.ascontiguousarray(padded[..., 0::2] | padded[..., 1::2] << 4)
    return pairs.view("<u4")
