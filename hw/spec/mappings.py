"""How a 4-bit weight becomes cells, and columns a reading (``docs/crossbar.md`` §2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

#: Weights that a table of levels has entries for: -8 on a paired line stands there as 8.
WEIGHTS = range(-8, 9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a row.

    Attributes
    ----------
    radix : int
        What its current is multiplied by in its column: the width of its transistor.
    levels : tuple of int or None
        Level for each of :data:`WEIGHTS`; None where the mapping cannot hold the weight.
    """

    radix: int
    levels: tuple[int | None, ...]

    @property
    def largest(self) -> int:
        """Largest level."""
        return max(level for level in self.levels if level is not None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A bit line.

    Attributes
    ----------
    sign : int
        1 or -1: how its current enters the reading.
    cells : tuple of Cell
        Those of each row.
    shared : bool
        The array has one such column for all outputs.
    """

    sign: int
    cells: tuple[Cell, ...]
    shared: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One conversion: columns whose currents are added, and what the code is worth."""

    factor: int
    columns: tuple[Column, ...]

    @property
    def signed(self) -> bool:
        """Whether the current may be negative."""
        return any(column.sign < 0 for column in self.columns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mapping:
    """Readings of one output: the weight is the sum of their currents, times their factors."""

    name: str
    text: str
    readings: tuple[Reading, ...]

    @property
    def cells(self) -> tuple[tuple[int, int, Cell], ...]:
        """Every cell with the numbers of its reading and column; the position is its number."""
        return tuple(
            (r, c, cell)
            for r, reading in enumerate(self.readings)
            for c, column in enumerate(reading.columns)
            for cell in column.cells
        )

    def holds(self, weight: int) -> bool:
        """Whether the cells have levels for a weight."""
        return all(cell.levels[weight + 8] is not None for _, _, cell in self.cells)

    @property
    def limit(self) -> int:
        """Largest magnitude of which both signs are held."""
        return max(w for w in range(9) if self.holds(w) and self.holds(-w))


def _cell(level: Callable[[int], int], held: range = WEIGHTS, radix: int = 1) -> Cell:
    return Cell(radix=radix, levels=tuple(level(w) if w in held else None for w in WEIGHTS))


def _pair(cells: Callable[[int], tuple[Cell, ...]]) -> tuple[Column, Column]:
    return Column(sign=1, cells=cells(1)), Column(sign=-1, cells=cells(-1))


def _magnitude(sign: int) -> tuple[Cell, ...]:
    return (_cell(lambda w: max(sign * w, 0)),)


def _planes(sign: int) -> tuple[Cell, ...]:
    """Three planes whose transistors are 1, 2 and 4 wide."""
    held = range(-7, 8)
    return tuple(_cell(_bit(p, sign), held, 1 << p) for p in range(3))


def _bit(place: int, sign: int) -> Callable[[int], int]:
    """Bit of a magnitude."""
    return lambda w: max(sign * w, 0) >> place & 1


def _twos_complement(place: int) -> Callable[[int], int]:
    return lambda w: w >> place & 1


_OFFSET = Column(sign=-1, cells=(_cell(lambda w: 8),), shared=True)
_REFERENCE = Column(sign=-1, cells=(_cell(lambda w: 0),), shared=True)

#: Every mapping, by name.
MAPPINGS: dict[str, Mapping] = {
    mapping.name: mapping
    for mapping in (
        Mapping(
            name="pair",
            text="differential pair of cells with magnitudes to 8",
            readings=(Reading(factor=1, columns=_pair(_magnitude)),),
        ),
        Mapping(
            name="offset",
            text="one cell with w + 8, less a column of eights",
            readings=(
                Reading(
                    factor=1,
                    columns=(Column(sign=1, cells=(_cell(lambda w: w + 8),)), _OFFSET),
                ),
            ),
        ),
        Mapping(
            name="sliced",
            text="four one-bit cells of two's complement, each less a column of cells that are off",
            readings=tuple(
                Reading(
                    factor=-8 if bit == 3 else 1 << bit,
                    columns=(
                        Column(
                            sign=1,
                            cells=(_cell(_twos_complement(bit), range(-8, 8)),),
                        ),
                        _REFERENCE,
                    ),
                )
                for bit in range(4)
            ),
        ),
        Mapping(
            name="planes",
            text="columns for positive and for negative weights, three planes of radix 1, 2 and 4",
            readings=tuple(
                Reading(factor=sign, columns=(Column(sign=1, cells=_planes(sign)),))
                for sign in (1, -1)
            ),
        ),
    )
}
