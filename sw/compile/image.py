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

from hw.spec.codes import TABLES
from hw.spec.formats import FORMATS, IMAGE_VERSION, WeightFormat
from hw.spec.params import CoreParams
from sw.compile.layout import pack_words
from sw.convert.container import ConvertedModel, WeightMatrix, write_whole
from sw.convert.encoder import ConvertedEncoder
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
        """Beats of a group, in all parts of a tile."""
        return self.words.shape[2]


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
    model: ConvertedModel | ConvertedEncoder,
    params: CoreParams,
    *,
    name: str,
    table: str | None = None,
) -> DeviceImage:
    """Lay out a model for a configuration.

    Parameters
    ----------
    model : ConvertedModel or ConvertedEncoder
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
    if isinstance(model, ConvertedModel):
        matrices["head"] = model.head
    elif "head" in model.matrices:
        matrices["head"] = model.matrices["head"]
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
                parts=params.sub_tiles,
                sums=needs_sums(table, model.quantizer(input_site(n), table).silent_level),
            )
            for n, m in matrices.items()
        },
    )


def pack_matrix(
    matrix: WeightMatrix, lanes: int, *, parts: int = 1, sums: bool = False
) -> MatrixImage:
    """Lay out a matrix in tiles of ``parts`` times ``lanes`` lanes, with row sums or without."""
    words = pack_words(matrix, lanes, parts=parts, sums=sums)
    return MatrixImage(
        format=matrix.format, rows=matrix.rows, inputs=matrix.inputs, words=words, sums=sums
    )
