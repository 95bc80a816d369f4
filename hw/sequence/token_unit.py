"""Token unit: all that a core needs beside the matrix engine to run whole tokens by itself."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from hw.bus.csr import register_layout
from hw.bus.read_arbiter import ReadArbiter
from hw.bus.window import WindowSignature
from hw.encode.input_buffer import input_signature
from hw.sequence.instruction_fetch import InstructionFetch
from hw.sequence.layout import instruction_layout
from hw.sequence.loader import Loader
from hw.sequence.output_reader import OutputReader
from hw.sequence.sequencer import Sequencer
from hw.sequence.storer import Storer, write_signature
from hw.sequence.waiting import Waiting
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, Error
from hw.synapse.external import axi_signature
from hw.vector.drain import Drain
from hw.vector.embed import Embed
from hw.vector.feed import Feed
from hw.vector.keep import Keep
from hw.vector.memory import READ_LATENCY, VectorMemory, WriteSignature
from hw.vector.rotate import Rotate
from hw.vector.softmax import Softmax

WORD = 32


class TokenUnit(wiring.Component):
    """Sequencer, vector memory, the units that work on it, and their ways to device memory.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; ``vector_words`` must not be 0.

    Members
    -------
    run : In(1)
        Run the program for one token; pulses, while the core is idle.
    program, token, position : In(32), In(32), In(16)
        Registers of the host; stable while ``busy``.
    abort : In(1)
        Forget the program.
    stop : In(1)
        Forget what runs: ``abort``, a failure or ``halt``, in the core's register.
    busy, done, error, number, cycles : Out
        See :class:`hw.sequence.sequencer.Sequencer`.
    waiting : Out(struct)
        The register.
    halt : Out(1)
        All that runs shall be forgotten; pulses.
    draining : Out(1)
        Something asked of device memory is awaited.
    multiply : Out(1)
        Begin the matrix ``instruction``; pulses.
    instruction : Out(struct)
        See :func:`hw.sequence.layout.instruction_layout`; as stable as the matrix needs.
    counted : Out(1)
        A matrix of weights has ended; pulses.
    finished, refused : In(1), In(8)
        Status of the matrix engine: ``done`` and ``error``.
    failed : In(1)
        A read of weights has failed.
    base : In(4)
        Base exponent of the encoded vector.
    tile_done, output, accumulator : In(1), Out, In
        Output buffer; see :class:`hw.sequence.output_reader.OutputReader`.
    input : Out
        Input buffer of the encoder; see :func:`hw.encode.input_buffer.input_signature`.
    best : In(WindowSignature)
        The host's window to the largest logits.
    vector : In(WindowSignature)
        The host's window to vector memory; closed while ``busy``.
    weights : In(AXI4ReadSignature)
        Reads of weights.
    reads, writes : Out(AXI4ReadSignature), Out(AXI4WriteSignature)
        Device memory.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "run": In(1),
                "program": In(WORD),
                "token": In(WORD),
                "position": In(16),
                "abort": In(1),
                "stop": In(1),
                "busy": Out(1),
                "done": Out(1),
                "error": Out(8),
                "number": Out(WORD),
                "cycles": Out(WORD),
                "waiting": Out(register_layout(REGISTERS["waiting"])),
                "halt": Out(1),
                "draining": Out(1),
                "multiply": Out(1),
                "instruction": Out(instruction_layout()),
                "counted": Out(1),
                "finished": In(1),
                "refused": In(8),
                "failed": In(1),
                "base": In(4),
                "tile_done": In(1),
                "output": Out(range(params.max_outputs)),
                "accumulator": In(signed(params.accumulator_width)),
                "input": Out(input_signature(params)),
                "best": In(WindowSignature()),
                "vector": In(WindowSignature()),
                "weights": In(axi_signature(params)),
                "reads": Out(axi_signature(params)),
                "writes": Out(write_signature(params)),
            }
        )

    def elaborate(self, platform):
        """Join the sequencer, the units, vector memory and the bus."""
        m = Module()
        params = self.params
        stopped = ResetInserter(self.stop)
        sequencer = Sequencer(params)
        m.submodules.sequencer = ResetInserter(self.abort)(sequencer)
        m.submodules.memory = memory = VectorMemory(params)
        m.submodules.fetch = fetch = InstructionFetch(params)
        m.submodules.loader = loader = Loader(params)
        m.submodules.storer = storer = Storer(params)
        m.submodules.arbiter = arbiter = ReadArbiter(params)
        embed, feed, softmax = Embed(params), Feed(params), Softmax(params)
        rotate, keep, drain = Rotate(params), Keep(params), Drain(params)
        reader = OutputReader(params)
        units = {"embed": embed, "feed": feed, "softmax": softmax, "rotate": rotate, "keep": keep}
        for name, unit in {**units, "drain": drain, "reader": reader}.items():
            m.submodules[name] = stopped(unit)

        managers = (flipped(self.weights), loader.axi, fetch.axi)
        for manager, port in zip(managers, arbiter.managers, strict=True):
            connect(m, manager, port)
        connect(m, arbiter.axi, flipped(self.reads))
        connect(m, storer.axi, flipped(self.writes))
        connect(m, fetch.instruction, sequencer.instructions)
        connect(m, keep.octets, storer.octets)
        forgotten = (fetch, loader, storer)
        m.d.comb += [
            fetch.start.eq(sequencer.fetch),
            fetch.address.eq(self.program),
            fetch.stop.eq(self.stop),
            loader.abort.eq(self.stop),
            storer.abort.eq(self.stop),
            keep.stored.eq(storer.stored),
            self.draining.eq(Cat(part.draining for part in forgotten).any()),
            sequencer.draining.eq(self.draining | self.stop),
            sequencer.failed.eq(self.failed | loader.failed | storer.failed),
            sequencer.unreadable.eq(fetch.failed),
            sequencer.run.eq(self.run),
            sequencer.token.eq(self.token),
            sequencer.position.eq(self.position),
            self.counted.eq(sequencer.counted),
            *(
                getattr(self, name).eq(getattr(sequencer, name))
                for name in ("busy", "done", "error", "number", "cycles", "halt")
            ),
        ]
        self._connect_loader(m, sequencer, loader)
        self._connect_memory(m, memory, loader, drain, units)
        multiplied, drained = self._connect_matrix(m, sequencer, feed, softmax, drain, reader)
        self._connect_units(m, sequencer, units, multiplied)
        self._connect_best(m, drain)
        m.submodules.waiting = waiting = Waiting()
        m.d.comb += [
            *(
                getattr(waiting, name).eq(getattr(sequencer, name))
                for name in ("fetching", "loading", "executing")
            ),
            waiting.opcode.eq(sequencer.task.instruction.opcode),
            waiting.multiplied.eq(self.finished),
            waiting.drained.eq(drained),
            waiting.stored.eq(storer.stored),
            waiting.draining.eq(self.draining),
            self.waiting.eq(waiting.units),
        ]
        return m

    def _connect_loader(self, m, sequencer, loader):
        task = sequencer.load_task
        m.d.comb += [
            loader.start.eq(sequencer.load),
            loader.instruction.eq(task.instruction),
            loader.count.eq(task.instruction.count),
            loader.origin.eq(task.origin),
            sequencer.loaded.eq(loader.done),
        ]

    def _connect_units(self, m, sequencer, units, multiplied):
        """Start the unit that an opcode needs; whatever ends is what was started."""
        task, starts = sequencer.task, sequencer.starts
        m.d.comb += [
            units["embed"].start.eq(starts.embed),
            units["feed"].start.eq(starts.norm | starts.normalize | starts.gate),
            units["softmax"].start.eq(starts.softmax),
            units["rotate"].start.eq(starts.rotate),
            units["keep"].start.eq(starts.keep),
            units["keep"].origin.eq(task.origin),
            units["keep"].mantissa_origin.eq(task.mantissa_origin),
            units["keep"].scale_address.eq(task.scale_address),
            sequencer.executed.eq(Cat(unit.done for unit in units.values()).any() | multiplied),
            self.instruction.eq(task.instruction),
        ]
        for unit in units.values():
            m.d.comb += [
                unit.instruction.eq(task.instruction),
                unit.count.eq(task.instruction.count),
            ]
        feeding = [units[name].input for name in ("feed", "softmax")]
        for name in self.input.signature.members:
            fed = [Value.cast(getattr(writer, name)) for writer in feeding]
            m.d.comb += Value.cast(getattr(self.input, name)).eq(reduce(or_, fed))

    def _connect_memory(self, m, memory, loader, drain, units):
        """Who is idle drives 0, so that all may share a port; the loader steps back."""
        host = self._connect_window(m, memory)
        users = [*units.values(), drain]
        writers = [user for user in users if hasattr(user, "write")]
        for name in ("a", "b"):
            readers = [getattr(user, name) for user in users if hasattr(user, name)]
            port = getattr(memory, name)
            addresses = [reader.address for reader in readers]
            if name == "a":
                addresses.append(Mux(self.busy, 0, self.vector.address))
            m.d.comb += port.address.eq(reduce(or_, addresses))
            m.d.comb += [reader.words.eq(port.words) for reader in readers]
        written = [user.write for user in writers]
        m.d.comb += loader.granted.eq(~Cat(write.mask for write in written).any())
        for name in ("address", "words", "mask"):
            values = [
                getattr(write, name).as_value() if name == "words" else getattr(write, name)
                for write in (*written, loader.write, host)
            ]
            m.d.comb += getattr(memory.write, name).eq(reduce(or_, values))

    def _connect_window(self, m, memory):
        """Let the host read and write words; return its write port."""
        window, width = self.vector, self.params.vector_width
        host = WriteSignature(self.params).create()
        inside = ~self.busy & (window.address < self.params.vector_words)
        low = window.address[: exact_log2(width)]
        places = [Signal.like(low, name=f"place_{stage}") for stage in range(READ_LATENCY)]
        m.d.comb += [window.readable.eq(inside), window.writable.eq(inside)]
        m.d.sync += [
            *(after.eq(before) for before, after in zip([low, *places], places, strict=False)),
            window.read_data.eq(memory.a.words[places[-1]] if width > 1 else memory.a.words[0]),
        ]
        with m.If(window.write):
            m.d.comb += [
                host.address.eq(window.address),
                host.mask.eq(1 << low),
                *(word.eq(window.write_data) for word in host.words),
            ]
        return host

    def _connect_matrix(self, m, sequencer, feed, softmax, drain, reader):
        """Run engine and drain together; return whether both have ended, and the drain."""
        task, start = sequencer.task.instruction, sequencer.starts.matvec
        multiplying, drained, multiplied = Signal(), Signal(), Signal()
        m.d.comb += [
            self.multiply.eq(start),
            multiplied.eq(multiplying & drained & self.finished),
            sequencer.refused.eq(Mux(multiplying, self.refused, Error.NONE)),
            reader.start.eq(start),
            reader.wide.eq(task.mode[4]),
            reader.count.eq(task.count),
            reader.tile_done.eq(self.tile_done),
            reader.accumulator.eq(self.accumulator),
            self.output.eq(reader.address),
            drain.start.eq(start),
            drain.instruction.eq(task),
            drain.count.eq(task.count),
            drain.clear.eq(self.run),
            drain.base.eq(self.base),
            drain.shift.eq(feed.shift),
            drain.multiplier.eq(feed.multiplier),
            drain.exponent.eq(feed.exponent),
            drain.gain.eq(softmax.gain),
            drain.gain_shift.eq(softmax.gain_shift),
        ]
        connect(m, reader.accumulators, drain.accumulators)
        with m.If(start):
            m.d.sync += [multiplying.eq(1), drained.eq(0)]
        with m.Elif(multiplied | self.stop):
            m.d.sync += multiplying.eq(0)
        with m.If(drain.done):
            m.d.sync += drained.eq(1)
        return multiplied, drained

    def _connect_best(self, m, drain):
        """Keep the largest logits of the last token for the host."""
        kept = Signal.like(drain.best.payload)
        m.d.comb += drain.best.ready.eq(1)
        with m.If(drain.best.valid):
            m.d.sync += kept.eq(drain.best.payload)
        candidate = kept[self.best.address[1:]]
        words = Signal(WORD), Signal(WORD)
        m.d.comb += self.best.readable.eq(self.best.address < 2 * self.params.best)
        m.d.sync += [
            words[0].eq(Mux(self.best.address[0], candidate.logit, candidate.id)),
            words[1].eq(words[0]),
            self.best.read_data.eq(words[1]),
        ]
