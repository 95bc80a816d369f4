"""Matrices and tables of a model in device memory."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.formats import WeightFormat
from hw.spec.params import CoreParams
from sw.compile.device_memory import DeviceMemory
from sw.compile.image import needs_sums
from sw.compile.layout import pack_words
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.errors import UserError
from sw.golden.linear import input_site

#: First row and count.
Chunk = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedMatrix:
    """A matrix in device memory.

    Attributes
    ----------
    format : WeightFormat
        4-bit or 8-bit codes.
    rows, inputs : int
        Outputs and inputs, padding excluded.
    sums : bool
        Groups have row sums.
    address : int
        Byte address of the first tile.
    tile_bytes, tile_rows : int
        Size of a tile.
    exponents : int
        Byte address of the row exponents, a byte each.
    """

    format: WeightFormat
    rows: int
    inputs: int
    sums: bool
    address: int
    tile_bytes: int
    tile_rows: int
    exponents: int

    def moved(self, distance: int) -> PlacedMatrix:
        """Return the same so many bytes further on."""
        address, exponents = self.address + distance, self.exponents + distance
        return dataclasses.replace(self, address=address, exponents=exponents)

    def chunks(self, most: int, *, first: int = 0, end: int | None = None) -> list[Chunk]:
        """Split the rows from the beginning of a tile into runs of whole tiles.

        Parameters
        ----------
        most : int
            Most outputs of a run.
        first, end : int
            First row, and the one behind the last; all if absent.
        """
        end = self.rows if end is None else end
        step = most // self.tile_rows * self.tile_rows
        return [(start, min(step, end - start)) for start in range(first, end, step)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerTables:
    """Where the matrices and gains of one layer lie; see :class:`Tables`."""

    matrices: dict[str, PlacedMatrix]
    gains: dict[str, int]

    def moved(self, distance: int) -> LayerTables:
        """Return the same so many bytes further on."""
        return LayerTables(
            matrices={name: matrix.moved(distance) for name, matrix in self.matrices.items()},
            gains={name: address + distance for name, address in self.gains.items()},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """Where everything of a model lies.

    Attributes
    ----------
    matrices : dict of str to PlacedMatrix
        By the converted model's names; ``embedding`` may be ``head``.
    mantissas : int
        Byte address of the mantissas d of the embedding, row by row.
    gains : dict of str to int
        Byte addresses of the gains of each norm.
    cosines, sines : int
        Byte addresses of the rotary tables, position by position.
    """

    matrices: dict[str, PlacedMatrix]
    mantissas: int
    gains: dict[str, int]
    cosines: int
    sines: int

    def with_layer(self, layer: LayerTables) -> Tables:
        """Return these and those of a layer."""
        matrices, gains = self.matrices | layer.matrices, self.gains | layer.gains
        return dataclasses.replace(self, matrices=matrices, gains=gains)


def place_shared(
    memory: DeviceMemory, model: ConvertedModel, params: CoreParams, *, table: str, context: int
) -> Tables:
    """Lay out what belongs to no layer.

    Raises
    ------
    UserError
        If a row exponent does not fit a byte.
    """
    placed = _place_layer(memory, model, params, "", table=table)
    placed.matrices.setdefault("embedding", placed.matrices["head"])
    rotary = model.rope[:context].astype("<i2")
    return Tables(
        matrices=placed.matrices,
        mantissas=memory.place(model.matrices["embedding"].d),
        gains=placed.gains,
        cosines=memory.place(rotary[..., 0]),
        sines=memory.place(rotary[..., 1]),
    )


def place_layer(
    memory: DeviceMemory, model: ConvertedModel, params: CoreParams, layer: int, *, table: str
) -> LayerTables:
    """Lay out the matrices and gains of a layer; errors as :func:`place_shared`."""
    return _place_layer(memory, model, params, f"layers.{layer}.", table=table)


def _place_layer(
    memory: DeviceMemory, model: ConvertedModel, params: CoreParams, prefix: str, *, table: str
) -> LayerTables:
    """Lay out what has a name in a layer, or in none where the prefix is empty."""
    matrices, gains = {}, {}
    for name, matrix in model.matrices.items():
        if _layer_of(name) != prefix:
            continue
        if name == "embedding":  # the head, if that is tied; else it meets no vector
            name = "head" if "head" not in model.matrices else name
        sums = name != "embedding" and needs_sums(
            table, model.quantizer(input_site(name), table).silent_level
        )
        matrices[name] = place_matrix(memory, name, matrix, params, sums=sums)
    for name, (gamma, _) in model.norms.items():
        if _layer_of(name) == prefix:
            gains[name] = memory.place(gamma.astype("<i2"))
    return LayerTables(matrices=matrices, gains=gains)


def _layer_of(name: str) -> str:
    return name[: name.rfind(".") + 1]


def place_matrix(
    memory: DeviceMemory, name: str, matrix: WeightMatrix, params: CoreParams, *, sums: bool
) -> PlacedMatrix:
    """Lay out a matrix; errors as :func:`place_shared`."""
    exponents = matrix.exponent
    if exponents.min() < -128 or exponents.max() > 127:
        wrong = exponents.min() if exponents.min() < -128 else exponents.max()
        raise UserError(
            f"{name} has a row exponent of {wrong}, a device program takes -128..127; "
            "scale the checkpoint's weights"
        )
    words = pack_words(matrix, params.lanes, parts=params.sub_tiles, sums=sums)
    return PlacedMatrix(
        format=matrix.format,
        rows=matrix.rows,
        inputs=matrix.inputs,
        sums=sums,
        address=memory.place(words),
        tile_bytes=words[0].nbytes,
        tile_rows=matrix.format.outputs(params.tile_lanes),
        exponents=memory.place(exponents.astype(np.int8)),
    )
