"""Integrator lanes that are crossbars, emulated one word line a cycle (``docs/crossbar.md``)."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hw.integrate.lanes import WEIGHT_WIDTH, Lanes
from hw.spec.crossbar import READ_KIND, TAPS, Crossbar
from hw.spec.crossbar_cycles import lanes_latency
from hw.spec.noise import DIGEST_ROTATION, LINE_WORDS
from hw.spec.params import CoreParams
from hw.spec.registers import CROSSBAR_COUNTERS
from hw.synapse.crossbar import device, integrator
from hw.synapse.crossbar.array import ColumnSums
from hw.synapse.crossbar.delay import delayed
from hw.synapse.crossbar.device import ProgrammedCell
from hw.synapse.crossbar.integrator import StepIntegrator, WindowIntegrator
from hw.synapse.crossbar.noise import WORD
from hw.synapse.crossbar.reading import CURRENT_LATENCY, LATENCY, NoisyCurrent, Readout

#: Bits of a column's number.
COLUMN_BITS = 24


class _Moment(NamedTuple):
    """What a step was that has been closed: raised lines of each phase; key of its samples."""

    raised: list[Signal]
    key: Signal


def array_layout() -> data.StructLayout:
    """Describe the ``array`` register: number of a matrix, and of its first tile."""
    return data.StructLayout({"matrix": 16, "tile": 16})


class CrossbarLanes(Lanes):
    """Lanes whose sums come from columns of crossbar cells.

    An array is 32 rows high and as wide as the core. Its cells are emulated: a weight comes from
    memory when its line is raised, and becomes the conductance that its cell was programmed to.
    Rows that are raised in one time step add up in their columns; when it is over these are read.
    So an item takes a cycle, as in ``spike`` lanes, whatever a real macro would need: that is what
    the counters tell.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    start : In(1)
        An instruction begins; pulses.
    array : In(array_layout)
        The matrix that it multiplies; stable from ``start`` on.
    array_steps, conversions, lines_raised : Out(32)
        Counters since ``start``, see :data:`hw.spec.registers.CROSSBAR_COUNTERS`.
    beat, weights, sums, handover, group
        As of :class:`hw.integrate.lanes.Lanes`.
    """

    def __init__(self, params: CoreParams):
        self._crossbar: Crossbar = params.crossbar
        self.latency = lanes_latency(self._crossbar)
        counters = dict.fromkeys(CROSSBAR_COUNTERS, Out(32))
        super().__init__(params, {"start": In(1), "array": In(array_layout()), **counters})

    def elaborate(self, platform):
        """Cells, then columns, then readings, then digital sums; the item keeps pace."""
        m = Module()
        crossbar = self._crossbar
        programmed = device.latency(crossbar.device)
        row_column, row_input, column, group = self._follow(m)
        cells = self._cells(m, row_column, row_input)

        item = delayed(m, self.beat, programmed)
        fires, closes = Signal(), Signal()
        m.d.comb += [
            fires.eq(item.row & ~item.empty),
            closes.eq(item.row & (item.gap | item.restart | item.last)),
        ]
        moment = self._moment(m, item, fires, closes)
        columns = {
            place: self._column(m, place, cell, item, fires, closes)
            for place, cell in cells.items()
        }
        # From here on in the cycle after a step was closed, when its sums stand in the columns.
        column, group = (delayed(m, part, programmed + 1) for part in (column, group))
        window = crossbar.readout == "window"
        reading = CURRENT_LATENCY if window else LATENCY
        closed = delayed(m, closes, 1 + reading + (not window))
        shown = Signal(crossbar.phases)
        m.d.comb += shown.eq(Cat(raised.any() for raised in moment.raised))
        ahead = delayed(m, shown, reading)
        later = delayed(m, item, 1 + reading + (not window))
        amplitudes = self._amplitudes(m, moment)
        for lane in range(self._params.lanes):
            kind = WindowIntegrator if window else StepIntegrator
            m.submodules[f"integrator_{lane}"] = sums = kind(crossbar)
            m.d.comb += [
                sums.closed.eq(closed),
                sums.shown.eq(ahead),
                *(getattr(sums, flag).eq(getattr(later, flag)) for flag in integrator.FLAGS),
                self.sums[lane].eq(sums.sum),
            ]
            for number in range(len(crossbar.cells.readings)):
                for phase in range(crossbar.phases):
                    value = self._read(
                        m, lane, number, phase, columns, moment, amplitudes, column, group
                    )
                    m.d.comb += getattr(sums, f"reading_{number}_{phase}").eq(value)
        ends = Signal.like(later, name="ends")
        m.d.comb += ends.eq(delayed(m, later, 3 if window else 0))
        m.d.sync += [self.handover.eq(ends.row & ends.last), self.group.eq(ends.group)]
        self._count(m, item, closes, moment)
        return m

    def _follow(self, m):
        """First column of the tile and input row of a row, and for what is read column and group.

        The item that ends a group may raise a row of the next one.
        """
        beat, lanes = self.beat, self._params.lanes
        column, next_column = Signal(COLUMN_BITS), Signal(COLUMN_BITS)
        block, next_block = Signal(11), Signal(11)
        ends = beat.row & beat.last
        m.d.comb += [
            next_block.eq(Mux(ends, Mux(beat.group.last, 0, block + 1), block)),
            next_column.eq(column + Mux(ends & beat.group.last, lanes, 0)),
        ]
        m.d.sync += [block.eq(next_block), column.eq(next_column)]
        with m.If(self.start):
            m.d.sync += [block.eq(0), column.eq(self.array.tile * lanes)]
        return next_column, Cat(beat.line, next_block), column, block

    def _cells(self, m, column, row):
        """Conductance of the columns' cells in the row at hand, by (lane, reading, column)."""
        crossbar, beat = self._crossbar, self.beat
        negative = beat.negative if crossbar.polarities == 2 else Const(0)
        c0 = Signal(WORD)
        m.d.comb += c0.eq(Cat(row, self.array.matrix))
        found: dict[tuple[int, int, int], object] = {}
        for kind, (r, c, cell) in enumerate(crossbar.cells.cells):
            shared = crossbar.cells.readings[r].columns[c].shared
            for lane in range(1 if shared else self._params.lanes):
                m.submodules[f"cell_{kind}_{lane}"] = programmed = ProgrammedCell(crossbar, cell)
                weight = self.weights.word_select(lane, WEIGHT_WIDTH)
                m.d.comb += [
                    programmed.weight.eq(0 if shared else weight.as_signed()),
                    programmed.negative.eq(negative),
                    programmed.c0.eq(c0),
                    programmed.c1.eq(Cat((column + lane)[:COLUMN_BITS], negative, Const(kind, 7))),
                ]
                place = (lane, r, c)
                found[place] = found.get(place, 0) + cell.radix * programmed.conductance
        return found

    def _column(self, m, place, conductance, item, fires, closes):
        _, r, c = place
        column = ColumnSums(self._crossbar, self._crossbar.cells.readings[r].columns[c])
        m.submodules["column_" + "_".join(map(str, place))] = column
        m.d.comb += [
            column.raises.eq(fires),
            column.phase.eq(item.negative),
            column.part.eq(item.line // (self._crossbar.rows // TAPS)),
            column.closes.eq(closes),
            column.conductance.eq(conductance),
        ]
        return column

    def _moment(self, m, item, fires, closes) -> _Moment:
        """Count the lines of a step, and digest the steps of a group."""
        crossbar = self._crossbar
        digest, shown, key = Signal(WORD), Signal(WORD), Signal(WORD)
        words = Array(word for polarity in LINE_WORDS for word in polarity[: crossbar.rows])
        running = [Signal(range(crossbar.rows + 1), name=f"lines_{p}") for p in range(2)]
        counted = running[: crossbar.phases]
        raised = [Signal.like(count, name=f"raised_{p}") for p, count in enumerate(counted)]
        some = Cat(count.any() for count in counted).any()
        m.d.comb += shown.eq(Mux(closes & some, digest.rotate_left(DIGEST_ROTATION), digest))
        kept = Mux(item.row & item.last, 0, shown)
        m.d.sync += digest.eq(kept ^ Mux(fires, words[Cat(item.line, item.negative)], 0))
        for phase, count in enumerate(counted):
            here = fires & ((item.negative == phase) if crossbar.phases == 2 else 1)
            m.d.sync += count.eq(Mux(closes, 0, count) + here)
        with m.If(closes):
            m.d.sync += [key.eq(digest), *(r.eq(c) for r, c in zip(raised, counted, strict=True))]
        return _Moment(raised, key)

    def _amplitudes(self, m, moment):
        """Amplitude of the noise of each reading in each phase."""
        tables = self._crossbar.read_amplitudes
        return [[Array(table)[raised] for raised in moment.raised] for table in tables]

    def _read(self, m, lane, number, phase, columns, moment, amplitudes, column, group):
        """Value of one reading, or with analog sums its current."""
        crossbar = self._crossbar
        reading = crossbar.cells.readings[number]
        kind = NoisyCurrent if crossbar.readout == "window" else Readout
        m.submodules[f"reading_{lane}_{number}_{phase}"] = read = kind(crossbar, reading)
        for c, line in enumerate(reading.columns):
            sums = columns[0 if line.shared else lane, number, c].sums
            m.d.comb += getattr(read, f"column_{c}").eq(sums[phase])
        m.d.comb += [
            read.amplitude.eq(amplitudes[number][phase]),
            read.key.eq(moment.key),
            read.c0.eq(Cat(group, Const(0, 16 - len(group)), self.array.matrix)),
            read.c1.eq(
                Cat((column + lane)[:COLUMN_BITS], Const(READ_KIND + 2 * number + phase, 8))
            ),
        ]
        return read.current if crossbar.readout == "window" else read.value

    def _count(self, m, item, closes, moment):
        """Count what a macro does in each step that is closed."""
        crossbar = self._crossbar
        readings = len(crossbar.cells.readings) * self._params.lanes
        now = Signal()
        m.d.sync += now.eq(closes)
        shown = [raised.any() for raised in moment.raised]
        steps = Signal(range(crossbar.phases + 1))
        m.d.comb += steps.eq(Mux(now, sum(shown, start=Const(0)), 0))
        converts = steps
        if crossbar.readout == "window":
            converts = self._windows(m, item, now, shown)
        for counter, more in (
            (self.array_steps, steps),
            (self.conversions, converts * readings),
            (self.lines_raised, Mux(now, sum(moment.raised), 0)),
        ):
            m.d.sync += counter.eq(Mux(self.start, 0, counter + more))

    def _windows(self, m, item, now, shown):
        """Phases of a window that ends in which lines were raised."""
        before = delayed(m, item, 1)
        ended, total = Signal(), Signal(range(len(shown) + 1))
        converted = []
        for phase, raised in enumerate(shown):
            some, some_now = Signal(name=f"some_{phase}"), Signal(name=f"some_now_{phase}")
            m.d.comb += some_now.eq(some | (now & raised))
            m.d.sync += some.eq(some_now & ~ended)
            converted.append(some_now)
        m.d.comb += [
            ended.eq(before.row & (before.restart | before.last)),
            total.eq(Mux(ended, sum(converted, start=Const(0)), 0)),
        ]
        return total
