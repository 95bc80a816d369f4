"""A crossbar macro: its ports, and its serial emulation (``docs/crossbar.md`` §9)."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Const,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
    signed,
)
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import (
    CELL_MAX,
    DRIFT_FRACTION,
    FRACTION,
    READ_KIND,
    STUCK_KEY,
    TAPS,
    Crossbar,
)
from hw.spec.noise import AMPLITUDE_FRACTION, DIGEST_ROTATION, LINE_WORDS
from hw.synapse.crossbar.array import ColumnSums
from hw.synapse.crossbar.delay import delayed
from hw.synapse.crossbar.device import CONDUCTANCE_WIDTH
from hw.synapse.crossbar.lanes import COLUMN_BITS
from hw.synapse.crossbar.noise import DEVIATE_LATENCY, SAMPLE_LATENCY, WORD, Deviate, Sample
from hw.synapse.crossbar.reading import LATENCY, Readout

#: Signed bits of a value that leaves a macro.
VALUE_WIDTH = 16

#: How a macro may be elaborated.
ELABORATIONS = ("serial", "instance")


class Bits(NamedTuple):
    """Where the cells of a kind stand in a word line's word."""

    first: int
    outputs: int


def cell_places(crossbar: Crossbar, outputs: int) -> list[Bits]:
    """First place and number of the cells of each kind; a shared column has one for all outputs."""
    places, first = [], 0
    for r, c, _ in crossbar.cells.cells:
        count = 1 if crossbar.cells.readings[r].columns[c].shared else outputs
        places.append(Bits(first, count))
        first += count
    return places


def program_layout(crossbar: Crossbar, outputs: int) -> data.StructLayout:
    """Describe a cell that is to be written.

    Members
    -------
    row, second : unsigned
        Its row, and whether it stands on the row's second word line.
    output : unsigned
        Its output; 0 for a shared column.
    cell : unsigned
        Its number in the mapping.
    level : unsigned
        The level.
    """
    return data.StructLayout(
        {
            "row": range(crossbar.rows),
            "second": 1,
            "output": range(max(outputs, 2)),
            "cell": range(max(len(crossbar.cells.cells), 2)),
            "level": range(17),
        }
    )


def codes_layout(crossbar: Crossbar, outputs: int) -> data.StructLayout:
    """Describe what the converters give in one turn.

    Members
    -------
    values : ArrayLayout(signed(16))
        Values of the codes, one of each converter, for output ``converter * s + turn`` where a
        converter serves s outputs.
    turn, reading, phase : unsigned
        What was converted.
    last : unsigned(1)
        The time step is over with it.
    """
    return data.StructLayout(
        {
            "values": data.ArrayLayout(signed(VALUE_WIDTH), converters(crossbar, outputs)),
            "turn": range(max(crossbar.columns_per_converter, 2)),
            "reading": range(max(len(crossbar.cells.readings), 2)),
            "phase": 1,
            "last": 1,
        }
    )


def converters(crossbar: Crossbar, outputs: int) -> int:
    """Return the number of converters of a macro."""
    return outputs // crossbar.columns_per_converter


def macro_signature(crossbar: Crossbar, outputs: int) -> wiring.Signature:
    """Ports of a macro; see :class:`CrossbarMacro`."""
    return wiring.Signature(
        {
            **dict.fromkeys(("matrix", "array"), In(16)),
            "column": In(COLUMN_BITS),
            "program": In(stream.Signature(program_layout(crossbar, outputs))),
            "acknowledge": Out(1),
            "pulses": Out(3),
            "verified": Out(1),
            "opens": In(1),
            "lines": In(data.ArrayLayout(crossbar.rows, 2)),
            "integrate": In(1),
            "sampled": Out(1),
            "codes": Out(codes_layout(crossbar, outputs)),
            "valid": Out(1),
            "busy": Out(1),
        }
    )


def check(crossbar: Crossbar, *, outputs: int, elaboration: str) -> None:
    """Refuse a macro that cannot be.

    Raises
    ------
    ValueError
        The message says what to change.
    """
    if elaboration not in ELABORATIONS:
        raise ValueError(
            f"elaboration must be one of {', '.join(ELABORATIONS)}, not {elaboration!r}"
        )
    if outputs < 1 or outputs % crossbar.columns_per_converter:
        raise ValueError(
            f"outputs must be a multiple of {crossbar.columns_per_converter} columns per "
            f"converter, not {outputs}"
        )
    if crossbar.readout != "step":
        raise ValueError("a macro is read out per step; choose readout 'step'")


class CrossbarMacro(wiring.Component):
    """A crossbar of its own: written cell by cell, read step by step.

    A cell is written in pulses until it is near enough, and acknowledged. In a time step the word
    lines of ``lines`` stand while ``integrate`` is given and until ``sampled``; then the codes come
    out, phase by phase (only phases in which a line is raised), reading by reading and turn by
    turn. A step in which no line is raised gives none, and ``sampled`` alone.

    ``serial`` elaborates as an emulation that can be synthesized: a memory of conductances, and one
    word line a cycle. ``instance`` is an instance of a module, which is either the behavioural
    model or a macro of a foundry: see :mod:`hw.synapse.crossbar.behaviour`. The results are the
    same.

    Parameters
    ----------
    crossbar : Crossbar
        What it is like.
    outputs : int
        Its outputs, a multiple of ``columns_per_converter``.
    elaboration : str
        One of :data:`ELABORATIONS`.

    Attributes
    ----------
    matrix, array : In(16)
        Whose cells and noise these are: number of the matrix, and of the array in it; stable.
    column : In(24)
        Number of the first output in the matrix; stable.
    program : In(stream)
        See :func:`program_layout`; not ready while a cell is written, nor in a time step.
    acknowledge : Out(1)
        It is written; pulses.
    pulses : Out(3)
        In how many pulses.
    verified : Out(1)
        It lies within the tolerance.
    opens : In(1)
        The window of another vector opens; pulses, not in a time step.
    lines : In(ArrayLayout(rows, 2))
        Rows with a spike of positive, and of negative polarity.
    integrate : In(1)
        A time step; pulses, while not ``busy``.
    sampled : Out(1)
        The lines may change; pulses.
    codes : Out(struct)
        See :func:`codes_layout`.
    valid : Out(1)
        Codes come in this cycle.
    busy : Out(1)
        A cell is written, or a time step is not over.
    """

    #: Module that ``instance`` is an instance of.
    module = "firstspike_crossbar"

    def __init__(self, crossbar: Crossbar, *, outputs: int, elaboration: str = "serial"):
        check(crossbar, outputs=outputs, elaboration=elaboration)
        self._crossbar, self._outputs, self._elaboration = crossbar, outputs, elaboration
        super().__init__(macro_signature(crossbar, outputs))

    def elaborate(self, platform):
        """Write cells; scan lines; read."""
        m = Module()
        if self._elaboration == "instance":
            m.submodules.macro = self._instance()
            return m
        crossbar, rows = self._crossbar, self._crossbar.rows
        places = cell_places(crossbar, self._outputs)
        layout = data.ArrayLayout(CONDUCTANCE_WIDTH, sum(place.outputs for place in places))
        m.submodules.cells = cells = memory.Memory(
            shape=layout, depth=rows * crossbar.polarities, init=[]
        )
        write, read = cells.write_port(granularity=1), cells.read_port()
        writing = self._write(m, write, places)
        scanning = Signal()
        reading = Signal()
        m.d.comb += [
            self.busy.eq(writing | scanning | reading),
            self.program.ready.eq(~self.busy),
        ]
        self._scan(m, read, places, scanning, reading)
        return m

    def _instance(self):
        """Join every port to the module's of the same name."""
        ports = {}
        for path, member, value in self.signature.flatten(self):
            prefix = "i" if member.flow is In else "o"
            ports[f"{prefix}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(self.module, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)

    def _write(self, m, write, places):
        """Pulse and verify, one pulse after the other."""
        crossbar, device = self._crossbar, self._crossbar.device
        m.submodules.error = error = Deviate(seed=crossbar.seed)
        m.submodules.stuck = stuck = Sample(seed=crossbar.seed)
        command, target = Signal.like(self.program.p), Signal(CONDUCTANCE_WIDTH)
        active, settle, pulse = Signal(), Signal(range(DEVIATE_LATENCY + 1)), Signal(3)
        polarity = command.second
        c0, c1 = Signal(WORD), Signal(WORD)
        row = self.array * crossbar.rows + command.row
        kinds = crossbar.cells.cells
        output = (self.column + command.output)[:COLUMN_BITS]
        m.d.comb += [
            c0.eq(Cat(row[:16], self.matrix)),
            c1.eq(Cat(output, polarity, command.cell)),
            *(part.c0.eq(c0) for part in (error, stuck)),
            *(part.c1.eq(c1) for part in (error, stuck)),
            error.key.eq(pulse),
            stuck.key.eq(STUCK_KEY),
        ]
        half = 1 << AMPLITUDE_FRACTION - 1
        total = Signal(signed(CONDUCTANCE_WIDTH + 12))
        written = Signal(CONDUCTANCE_WIDTH)
        near, last = Signal(), Signal()
        amplitude = device.programming_amplitude
        m.d.comb += [
            total.eq(target + ((error.deviate * amplitude + half) >> AMPLITUDE_FRACTION)),
            written.eq(Mux(total < 0, 0, Mux(total > CELL_MAX, CELL_MAX, total))),
            near.eq(abs(written - target) <= device.tolerance_units),
            last.eq(near | (pulse + 1 == (device.pulses if amplitude else 1))),
        ]
        low, high = device.stuck_limits
        largest = Array(cell.largest << FRACTION for _, _, cell in kinds)
        kept = Signal(CONDUCTANCE_WIDTH)
        drifted = (written * device.drift_factor + (1 << DRIFT_FRACTION - 1)) >> DRIFT_FRACTION
        m.d.comb += kept.eq(drifted)
        if high:
            with m.If(stuck.x0 < low):
                m.d.comb += kept.eq(device.off)
            with m.Elif(stuck.x0 < high):
                m.d.comb += kept.eq(largest[command.cell])
        done = Signal()
        m.d.comb += [
            done.eq(active & (settle == 0) & last),
            write.addr.eq(Cat(command.row, polarity if crossbar.polarities == 2 else Const(0, 0))),
            *(write.data[i].eq(kept) for i in range(len(write.en))),
        ]
        for kind, place in enumerate(places):
            for i in range(place.outputs):
                here = (command.cell == kind) & ((command.output == i) | (place.outputs == 1))
                m.d.comb += write.en[place.first + i].eq(done & here)
        m.d.sync += self.acknowledge.eq(done)
        with m.If(active):
            m.d.sync += settle.eq(Mux(settle == 0, DEVIATE_LATENCY, settle - 1))
            with m.If(settle == 0):
                m.d.sync += [
                    pulse.eq(pulse + 1),
                    active.eq(~last),
                    self.pulses.eq(pulse + 1),
                    self.verified.eq(near),
                ]
        with m.Elif(self.program.valid & self.program.ready):
            level = self.program.p.level << FRACTION
            m.d.sync += [
                active.eq(1),
                command.eq(self.program.p),
                target.eq(Mux(level > device.off, level, device.off)),
                pulse.eq(0),
                settle.eq(DEVIATE_LATENCY),
            ]
        assert SAMPLE_LATENCY <= DEVIATE_LATENCY
        return active

    def _scan(self, m, read, places, scanning, reading):
        """Raise one line a cycle; then let the converters take turns."""
        crossbar, rows = self._crossbar, self._crossbar.rows
        left = Signal(2 * rows)
        number = Signal(range(2 * rows))
        for line in reversed(range(2 * rows)):
            with m.If(left[line]):
                m.d.comb += number.eq(line)
        row, negative = number[: len(number) - 1], number[-1]
        raises, closes = Signal(), Signal()
        m.d.comb += raises.eq(scanning & left.any())
        digest, key = Signal(WORD), Signal(WORD)
        words = Array(word for polarity in LINE_WORDS for word in polarity[:rows])
        counts = [Signal(range(2 * rows + 1), name=f"count_{p}") for p in range(crossbar.phases)]
        m.d.comb += [
            read.addr.eq(Cat(row, negative if crossbar.polarities == 2 else Const(0, 0))),
        ]
        settle = Signal(range(max(crossbar.access, 1) + 2))
        with m.If(self.opens):
            m.d.sync += digest.eq(0)
        with m.If(self.integrate & ~self.busy):
            m.d.sync += [
                scanning.eq(1),
                left.eq(self.lines),
                settle.eq(crossbar.access + 1),
                *(count.eq(0) for count in counts),
            ]
        with m.Elif(raises):
            m.d.sync += [left.eq(left & (left - 1)), digest.eq(digest ^ words[number])]
            for phase, count in enumerate(counts):
                here = (negative == phase) if crossbar.phases == 2 else 1
                m.d.sync += count.eq(count + here)
        with m.Elif(scanning & (settle != 0)):
            m.d.sync += settle.eq(settle - 1)
        some = Cat(count.any() for count in counts)
        with m.Elif(scanning):
            m.d.comb += closes.eq(1)
            m.d.sync += [
                scanning.eq(0),
                reading.eq(some.any()),
                key.eq(digest),
                digest.eq(Mux(some.any(), digest.rotate_left(DIGEST_ROTATION), digest)),
            ]
        m.d.sync += self.sampled.eq(closes)

        raised, phase_now = delayed(m, raises, 1), delayed(m, negative, 1)
        part = delayed(m, row // (rows // TAPS) if rows // TAPS else row, 1)
        sums = {}
        for kind, (r, c, cell) in enumerate(crossbar.cells.cells):
            for i in range(places[kind].outputs):
                conductance = cell.radix * read.data[places[kind].first + i]
                sums[i, r, c] = sums.get((i, r, c), 0) + conductance
        columns = {}
        for place, conductance in sums.items():
            column = ColumnSums(crossbar, crossbar.cells.readings[place[1]].columns[place[2]])
            m.submodules["column_" + "_".join(map(str, place))] = columns[place] = column
            m.d.comb += [
                column.raises.eq(raised),
                column.phase.eq(phase_now),
                column.part.eq(part),
                column.conductance.eq(conductance),
                column.closes.eq(closes),
            ]
        self._turns(m, columns, counts, key, reading)

    def _turns(self, m, columns, counts, key, reading):
        """Give every column to its converter."""
        crossbar = self._crossbar
        served, readings = crossbar.columns_per_converter, crossbar.cells.readings
        turn, number, phase = Signal(range(served + 1)), Signal(range(8)), Signal()
        feeding = Signal()
        tag = Signal(codes_layout(crossbar, 0 * served + self._outputs))
        valid = Signal()
        some = [count.any() for count in counts]
        first_phase = Mux(some[0], 0, 1) if len(counts) == 2 else Const(0)
        begins = Signal()
        m.d.sync += begins.eq(0)
        final_turn = turn == served - 1
        final_reading = number == len(readings) - 1
        final_phase = phase == 1 if len(counts) == 2 else Const(1)
        if len(counts) == 2:
            final_phase = (phase == 1) | ~some[1]
        started = delayed(m, reading, 1)
        with m.If(reading & ~started):
            m.d.sync += [feeding.eq(1), turn.eq(0), number.eq(0), phase.eq(first_phase)]
        with m.Elif(feeding):
            m.d.sync += turn.eq(Mux(final_turn, 0, turn + 1))
            with m.If(final_turn):
                m.d.sync += number.eq(Mux(final_reading, 0, number + 1))
                with m.If(final_reading):
                    m.d.sync += [phase.eq(1), feeding.eq(~final_phase)]
        m.d.comb += [
            valid.eq(feeding),
            tag.turn.eq(turn),
            tag.reading.eq(number),
            tag.phase.eq(phase),
            tag.last.eq(final_turn & final_reading & final_phase),
        ]
        out, came = delayed(m, tag, LATENCY), delayed(m, valid, LATENCY)
        tables = crossbar.read_amplitudes
        count = Array(counts)[phase] if len(counts) == 2 else counts[0]
        amplitude = Array(
            Array(t[min(n, len(t) - 1)] for n in range(2 * crossbar.rows + 1)) for t in tables
        )
        chosen = amplitude[number if len(tables) > 1 else 0][count]
        m.d.comb += [self.valid.eq(came), self.codes.eq(out)]
        for q in range(converters(crossbar, self._outputs)):
            m.submodules[f"converter_{q}"] = read = Readout(crossbar, readings[0])
            kind = READ_KIND + 2 * number + phase
            output = (self.column + q * served + turn)[:COLUMN_BITS]
            m.d.comb += [
                read.amplitude.eq(chosen),
                read.key.eq(key),
                read.c0.eq(Cat(self.array, self.matrix)),
                read.c1.eq(Cat(output, kind[:8])),
                self.codes.values[q].eq(read.value),
            ]
            for c, line in enumerate(readings[0].columns):
                choices = [
                    columns[0 if line.shared else q * served + t, r, c].sums[p]
                    for p in range(len(counts))
                    for r in range(len(readings))
                    for t in range(served)
                ]
                place = (Mux(phase, len(readings), 0) if len(counts) == 2 else 0) + number
                m.d.comb += getattr(read, f"column_{c}").eq(Array(choices)[place * served + turn])
        with m.If(came & out.last):
            m.d.sync += reading.eq(0)
