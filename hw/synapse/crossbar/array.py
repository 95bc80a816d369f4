"""A column of an array: what its bit line carries (``docs/crossbar.md`` §4)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import CELL_MAX, SQUARE_SHIFT, TAPS, WIRE_FRACTION, Crossbar
from hw.spec.mappings import Column

#: Cycles from the sums of a bit line's parts to its current.
LOSS_LATENCY = 3


def current_width(crossbar: Crossbar, column: Column) -> int:
    """Bits of a column's current."""
    return (crossbar.rows * CELL_MAX * sum(cell.radix for cell in column.cells)).bit_length()


def taps(crossbar: Crossbar) -> int:
    """Parts of a bit line: one where its wire has no resistance."""
    return TAPS if crossbar.wire_factor else 1


def model(parts: Sequence[int], crossbar: Crossbar) -> int:
    """Give a column's current from the sums of its parts, each without those before it."""
    running, squares = 0, 0
    for part in parts:
        running += part
        squares += (running >> SQUARE_SHIFT) ** 2
    return max(running - (squares * crossbar.wire_factor >> WIRE_FRACTION), 0)


class ColumnSums(wiring.Component):
    """Adds up the cells whose lines are raised, part by part, for either phase.

    Parameters
    ----------
    crossbar : Crossbar
        The array.
    column : Column
        The column.

    Members
    -------
    raises : In(1)
        A line is raised; ``closes`` comes before it.
    phase : In(1)
        In which phase.
    part : In
        Part of the bit line.
    conductance : In
        Of the line's cells, times their radixes.
    closes : In(1)
        The time step is over; pulses.
    sums : Out(ArrayLayout)
        Of the step that was closed last: sums of each part, for each phase.
    """

    def __init__(self, crossbar: Crossbar, column: Column):
        width = current_width(crossbar, column)
        self._phases = crossbar.phases
        radix = sum(cell.radix for cell in column.cells)
        layout = data.ArrayLayout(data.ArrayLayout(width, taps(crossbar)), crossbar.phases)
        super().__init__(
            {
                **dict.fromkeys(("raises", "phase", "closes"), In(1)),
                "part": In(range(TAPS)),
                "conductance": In((radix * CELL_MAX).bit_length()),
                "sums": Out(layout),
            }
        )

    def elaborate(self, platform):
        """One adder for each part."""
        m = Module()
        running = Signal.like(self.sums)
        with m.If(self.closes):
            m.d.sync += self.sums.eq(running)
        for phase in range(self._phases):
            for part, total in enumerate(running[phase]):
                here = self.raises
                if self._phases > 1:
                    here = here & (self.phase == phase)
                if len(running[phase]) > 1:
                    here = here & (self.part == part)
                m.d.sync += total.eq(Mux(self.closes, 0, total) + Mux(here, self.conductance, 0))
        return m


class ColumnCurrent(wiring.Component):
    """Current of a column, :data:`LOSS_LATENCY` cycles after the sums of its parts.

    Parameters
    ----------
    crossbar : Crossbar
        The array.
    column : Column
        The column.

    Members
    -------
    parts : In(ArrayLayout)
        Sums of each part.
    current : Out
        What reaches the converter.
    """

    def __init__(self, crossbar: Crossbar, column: Column):
        self._crossbar, self._width = crossbar, current_width(crossbar, column)
        layout = data.ArrayLayout(self._width, taps(crossbar))
        super().__init__({"parts": In(layout), "current": Out(self._width)})

    def elaborate(self, platform):
        """Add up the parts; square these sums; take the loss off."""
        m = Module()
        factor = self._crossbar.wire_factor
        if not factor:
            first, second = (Signal(self._width, name=f"current_{k}") for k in range(2))
            m.d.sync += [
                first.eq(self.parts[0]),
                second.eq(first),
                self.current.eq(second),
            ]
            return m
        running, squares, total = [], [], 0
        for part in range(TAPS):
            total = total + self.parts[part]
            sum_ = Signal(self._width, name=f"running_{part}")
            square = Signal(2 * (self._width - SQUARE_SHIFT), name=f"square_{part}")
            m.d.sync += [sum_.eq(total), square.eq((sum_ >> SQUARE_SHIFT) * (sum_ >> SQUARE_SHIFT))]
            running.append(sum_)
            squares.append(square)
        whole = Signal(self._width)
        m.d.sync += whole.eq(running[-1])
        loss = (sum(squares) * factor) >> WIRE_FRACTION
        m.d.sync += self.current.eq(Mux(loss > whole, 0, whole - loss))
        return m
