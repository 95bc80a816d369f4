"""Integrator lanes that are crossbars, emulated one word line a cycle (``docs/crossbar.md``)."""

from __future__ import annotations

from typing import Any, NamedTuple

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.integrate.lanes import WEIGHT_WIDTH, Lanes
from hw.spec.codes import BLOCK
from hw.spec.crossbar import READ_KIND, TAPS, Crossbar
from hw.spec.crossbar_cycles import SWEEP, lanes_latency
from hw.spec.noise import DIGEST_ROTATION, LINE_WORDS
from hw.spec.params import CoreParams
from hw.spec.registers import CROSSBAR_COUNTERS
from hw.synapse.crossbar import device, integrator
from hw.synapse.crossbar.array import ColumnSums
from hw.synapse.crossbar.delay import LongDelay, delayed
from hw.synapse.crossbar.device import ProgrammedCell
from hw.synapse.crossbar.integrator import StepIntegrator, WindowIntegrator
from hw.synapse.crossbar.noise import WORD
from hw.synapse.crossbar.reading import CURRENT_LATENCY, LATENCY, NoisyCurrent, Readout
from hw.synapse.crossbar.step_store import StepStore

#: Bits of a column's number.
COLUMN_BITS = 24


class _Steps(NamedTuple):
    """Time steps on their way to the readings.

    Attributes
    ----------
    item, closes
        Item of the digital sums, and whether a step ends before it.
    raised, key, sums
        A cycle later: lines of each phase that were raised in it; key of its samples; sums of its
        columns by (lane, reading, column).
    column, array
        As late: first column of the tile, and number of the array in the matrix.
    complete
        With several blocks in an array: its last one ended in the cycle before.
    """

    item: Any
    closes: Any
    raised: list
    key: Any
    sums: dict[tuple[int, int, int], Any]
    column: Any
    array: Any
    complete: Any = None


def array_layout() -> data.StructLayout:
    """Describe the ``array`` register: number of a matrix, and of its first tile."""
    return data.StructLayout({"matrix": 16, "tile": 16})


class CrossbarLanes(Lanes):
    """Lanes whose sums come from columns of crossbar cells.

    An array is as wide as the core. Its cells are emulated: a weight comes from memory when its
    line is raised, and becomes the conductance that its cell was programmed to. Rows that are
    raised in one time step add up in their columns; when it is over these are read. So an item
    takes a cycle, as in ``spike`` lanes, whatever a real macro would need: that is what the
    counters tell.

    An array of 256 rows is shown eight blocks one after the other. What each brings to a time step
    is added up, and the steps are read when the last block is over: its sums are handed over with
    that block, and 0 with the others, as all have the same scales.

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
        row_column, row_input, column, block = self._follow(m)
        cells = self._cells(m, row_column, row_input)

        item = delayed(m, self.beat, programmed)
        fires, closes = Signal(), Signal()
        m.d.comb += [
            fires.eq(item.row & ~item.empty),
            closes.eq(item.row & (item.gap | item.restart | item.last)),
        ]
        line = delayed(m, row_input, programmed)[: (crossbar.rows - 1).bit_length()]
        sums = {
            place: self._column(m, place, cell, item, line, fires, closes)
            for place, cell in cells.items()
        }
        # In the cycle after a step was closed, when its sums stand in the columns.
        column, block = (delayed(m, part, programmed + 1) for part in (column, block))
        if crossbar.rows == BLOCK:
            raised, key = self._moment(m, item, line, fires, closes)
            steps = _Steps(item, closes, raised, key, sums, column, block)
        else:
            steps = self._store(m, item, line, fires, closes, sums, column, block)

        window = crossbar.readout == "window"
        reading = CURRENT_LATENCY if window else LATENCY
        closed = delayed(m, steps.closes, 1 + reading + (not window))
        shown = Signal(crossbar.phases)
        m.d.comb += shown.eq(Cat(raised.any() for raised in steps.raised))
        ahead = delayed(m, shown, reading)
        later = delayed(m, steps.item, 1 + reading + (not window))
        last = 1 + reading + (3 if window else 1)  # cycles from an item to its sums
        whole = self._hand_over(m, item, steps, last)
        amplitudes = self._amplitudes(steps)
        for lane in range(self._params.lanes):
            kind = WindowIntegrator if window else StepIntegrator
            m.submodules[f"integrator_{lane}"] = sums = kind(crossbar)
            m.d.comb += [
                sums.closed.eq(closed),
                sums.shown.eq(ahead),
                *(getattr(sums, flag).eq(getattr(later, flag)) for flag in integrator.FLAGS),
                self.sums[lane].eq(Mux(whole, sums.sum, 0)),
            ]
            for number in range(len(crossbar.cells.readings)):
                for phase in range(crossbar.phases):
                    value = self._read(m, lane, number, phase, steps, amplitudes)
                    m.d.comb += getattr(sums, f"reading_{number}_{phase}").eq(value)
        self._count(m, steps)
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

    def _column(self, m, place, conductance, item, line, fires, closes):
        _, r, c = place
        column = ColumnSums(self._crossbar, self._crossbar.cells.readings[r].columns[c])
        m.submodules["column_" + "_".join(map(str, place))] = column
        m.d.comb += [
            column.raises.eq(fires),
            column.phase.eq(item.negative),
            column.part.eq(line // (self._crossbar.rows // TAPS)),
            column.closes.eq(closes),
            column.conductance.eq(conductance),
        ]
        return column.sums

    def _lines(self, m, item, fires, closes):
        """Count the lines of a step: as yet, and of the step that was closed last."""
        crossbar = self._crossbar
        running = [Signal(range(crossbar.rows + 1), name=f"lines_{p}") for p in range(2)]
        counted = running[: crossbar.phases]
        raised = [Signal.like(count, name=f"raised_{p}") for p, count in enumerate(counted)]
        for phase, count in enumerate(counted):
            here = fires & ((item.negative == phase) if crossbar.phases == 2 else 1)
            m.d.sync += count.eq(Mux(closes, 0, count) + here)
        with m.If(closes):
            m.d.sync += [r.eq(c) for r, c in zip(raised, counted, strict=True)]
        return Cat(count.any() for count in counted).any(), raised

    def _word(self, item, line, fires):
        """Word of the line that is raised."""
        rows = self._crossbar.rows
        words = Array(word for polarity in LINE_WORDS for word in polarity[:rows])
        return Mux(fires, words[Cat(line, item.negative)], 0)

    def _moment(self, m, item, line, fires, closes):
        """Lines of the step that was closed last, and key of its samples."""
        digest, shown, key = Signal(WORD), Signal(WORD), Signal(WORD)
        some, raised = self._lines(m, item, fires, closes)
        m.d.comb += shown.eq(Mux(closes & some, digest.rotate_left(DIGEST_ROTATION), digest))
        kept = Mux(item.row & item.last, 0, shown)
        m.d.sync += digest.eq(kept ^ self._word(item, line, fires))
        with m.If(closes):
            m.d.sync += key.eq(digest)
        return raised, key

    def _store(self, m, item, line, fires, closes, sums, column, block) -> _Steps:
        """Keep steps until the array's last block is over."""
        crossbar = self._crossbar
        m.submodules.store = store = StepStore(crossbar, self._params.lanes)
        some, raised = self._lines(m, item, fires, closes)
        running, lines = Signal(WORD), Signal(WORD)
        time, place = Signal.like(store.place), Signal.like(store.place)
        over, final, brought = Signal(), Signal(), Signal()
        m.d.sync += [
            running.eq(Mux(closes, 0, running) ^ self._word(item, line, fires)),
            brought.eq(closes & some),
            over.eq(item.row & item.last),
            final.eq(item.group.last),
        ]
        with m.If(fires):
            m.d.sync += time.eq(Cat(item.level, item.coarse))
        with m.If(closes):
            m.d.sync += [lines.eq(running), place.eq(time)]
        shared = self._params.shared
        within = exact_log2(shared)
        m.d.comb += [
            store.closed.eq(brought),
            store.place.eq(place),
            store.step.lines.eq(lines),
            store.ends.eq(over & (final | (block[:within] == shared - 1))),
            *(kept.eq(count) for kept, count in zip(store.step.raised, raised, strict=True)),
            *(store.step["column_" + "_".join(map(str, p))].eq(s) for p, s in sums.items()),
        ]
        first, array = Signal.like(column), Signal(len(block) - within)
        with m.If(store.ends):
            m.d.sync += [first.eq(column), array.eq(block[within:])]

        digest, key, ends = Signal(WORD), Signal(WORD), Signal()
        m.d.comb += key.eq(digest ^ store.kept.lines)
        m.d.sync += ends.eq(store.item.last)
        with m.If(ends):
            m.d.sync += digest.eq(0)
        with m.Elif(store.shown):
            m.d.sync += digest.eq(key.rotate_left(DIGEST_ROTATION))
        return _Steps(
            item=store.item,
            closes=store.item.row,
            raised=[Mux(store.shown, count, 0) for count in store.kept.raised],
            key=key,
            sums={place: store.kept["column_" + "_".join(map(str, place))] for place in sums},
            column=first,
            array=array,
            complete=store.ends,
        )

    def _hand_over(self, m, item, steps, cycles):
        """Hand groups over so many cycles after their last items; tell whether they have sums."""
        if self._params.shared == 1:
            ends = delayed(m, item, cycles)
            m.d.sync += [self.handover.eq(ends.row & ends.last), self.group.eq(ends.group)]
            return Const(1)
        ended = delayed(m, item, 1)
        layout = data.StructLayout({"over": 1, "complete": 1, "group": item.group.shape()})
        m.submodules.groups = groups = LongDelay(layout, cycles + SWEEP)
        whole = Signal()
        m.d.comb += [
            groups.value.over.eq(ended.row & ended.last),
            groups.value.complete.eq(steps.complete),
            groups.value.group.eq(ended.group),
        ]
        m.d.sync += [
            self.handover.eq(groups.later.over),
            self.group.eq(groups.later.group),
            whole.eq(groups.later.complete),
        ]
        return whole

    def _amplitudes(self, steps):
        """Amplitude of the noise of each reading in each phase."""
        tables = self._crossbar.read_amplitudes
        return [[Array(table)[raised] for raised in steps.raised] for table in tables]

    def _read(self, m, lane, number, phase, steps, amplitudes):
        """Value of one reading, or with analog sums its current."""
        crossbar = self._crossbar
        reading = crossbar.cells.readings[number]
        kind = NoisyCurrent if crossbar.readout == "window" else Readout
        m.submodules[f"reading_{lane}_{number}_{phase}"] = read = kind(crossbar, reading)
        for c, line in enumerate(reading.columns):
            sums = steps.sums[0 if line.shared else lane, number, c]
            m.d.comb += getattr(read, f"column_{c}").eq(sums[phase])
        m.d.comb += [
            read.amplitude.eq(amplitudes[number][phase]),
            read.key.eq(steps.key),
            read.c0.eq(Cat(steps.array, Const(0, 16 - len(steps.array)), self.array.matrix)),
            read.c1.eq(
                Cat((steps.column + lane)[:COLUMN_BITS], Const(READ_KIND + 2 * number + phase, 8))
            ),
        ]
        return read.current if crossbar.readout == "window" else read.value

    def _count(self, m, all_steps):
        """Count what a macro does in each step that is closed."""
        crossbar = self._crossbar
        readings = len(crossbar.cells.readings) * self._params.lanes
        now = Signal()
        m.d.sync += now.eq(all_steps.closes)
        shown = [raised.any() for raised in all_steps.raised]
        steps = Signal(range(crossbar.phases + 1))
        m.d.comb += steps.eq(Mux(now, sum(shown, start=Const(0)), 0))
        converts = steps
        if crossbar.readout == "window":
            converts = self._windows(m, all_steps.item, now, shown)
        for counter, more in (
            (self.array_steps, steps),
            (self.conversions, converts * readings),
            (self.lines_raised, Mux(now, sum(all_steps.raised), 0)),
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
