"""Token unit: all that a core needs beside the matrix engine to run whole tokens by itself."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.csr import register_layout
from hw.bus.read_arbiter import ReadArbiter
from hw.bus.window import WORD, WindowSignature
from hw.encode.input_buffer import input_signature
from hw.sequence.instruction_fetch import InstructionFetch
from hw.sequence.layout import instruction_layout
from hw.sequence.loader import Loader
from hw.sequence.sequencer import Sequencer
from hw.sequence.storer import Storer, write_signature
from hw.sequence.waiting import Waiting
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, Error
from hw.synapse.external import axi_signature
from hw.vector.unit import VectorUnit


class TokenUnit(wiring.Component):
    """Sequencer, vector unit, and their ways to device memory.

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
        """Join the sequencer, the vector unit, the matrix engine and the bus."""
        m = Module()
        params = self.params
        sequencer = Sequencer(params)
        m.submodules.sequencer = ResetInserter(self.abort)(sequencer)
        m.submodules.vectors = vectors = VectorUnit(params)
        m.submodules.fetch = fetch = InstructionFetch(params)
        m.submodules.loader = loader = Loader(params)
        m.submodules.storer = storer = Storer(params)
        m.submodules.arbiter = arbiter = ReadArbiter(params)
        m.submodules.waiting = waiting = Waiting()

        managers = (flipped(self.weights), loader.axi, fetch.axi)
        for manager, port in zip(managers, arbiter.managers, strict=True):
            connect(m, manager, port)
        connect(m, arbiter.axi, flipped(self.reads))
        connect(m, storer.axi, flipped(self.writes))
        connect(m, fetch.instruction, sequencer.instructions)
        connect(m, vectors.octets, storer.octets)
        connect(m, loader.write, vectors.load)
        for name in ("input", "best", "vector"):
            connect(m, getattr(vectors, name), flipped(getattr(self, name)))
        self._connect_load(m, sequencer, loader, vectors)
        self._connect_task(m, sequencer, vectors)

        m.d.comb += [
            fetch.start.eq(sequencer.fetch),
            fetch.address.eq(self.program),
            fetch.stop.eq(self.stop),
            loader.abort.eq(self.stop),
            storer.abort.eq(self.stop),
            vectors.stop.eq(self.stop),
            vectors.clear.eq(self.run),
            vectors.closed.eq(self.busy),
            vectors.stored.eq(storer.stored),
            self.draining.eq(Cat(part.draining for part in (fetch, loader, storer)).any()),
            sequencer.draining.eq(self.draining | self.stop),
            sequencer.unreadable.eq(fetch.failed),
            *(
                getattr(sequencer, name).eq(getattr(self, name))
                for name in ("run", "token", "position")
            ),
            *(
                getattr(self, name).eq(getattr(sequencer, name))
                for name in ("busy", "done", "error", "number", "cycles", "halt", "counted")
            ),
            *(
                getattr(waiting, name).eq(getattr(sequencer, name))
                for name in ("fetching", "loading", "executing")
            ),
            waiting.opcode.eq(sequencer.task.instruction.opcode),
            waiting.multiplied.eq(self.finished),
            waiting.drained.eq(vectors.drained),
            waiting.stored.eq(storer.stored),
            waiting.draining.eq(self.draining),
            self.waiting.eq(waiting.units),
        ]
        # A cycle later, as it comes from far, and as far it goes.
        m.d.sync += sequencer.failed.eq(self.failed | loader.failed | storer.failed)
        return m

    def _connect_load(self, m, sequencer, loader, vectors):
        task = sequencer.load_task
        m.d.comb += [
            loader.start.eq(sequencer.load),
            loader.instruction.eq(task.instruction),
            loader.count.eq(task.instruction.count),
            loader.origin.eq(task.origin),
            loader.granted.eq(vectors.granted),
            sequencer.loaded.eq(loader.done),
        ]

    def _connect_task(self, m, sequencer, vectors):
        """Let a unit execute, or the matrix engine with the drain behind it, until both end."""
        task, start = sequencer.task, sequencer.starts.matvec
        multiplying, multiplied = Signal(), Signal()
        m.d.comb += [
            vectors.starts.eq(sequencer.starts),
            vectors.task.eq(task),
            vectors.base.eq(self.base),
            vectors.tile_done.eq(self.tile_done),
            vectors.accumulator.eq(self.accumulator),
            self.output.eq(vectors.output),
            self.multiply.eq(start),
            self.instruction.eq(task.instruction),
            multiplied.eq(multiplying & vectors.drained & self.finished),
            sequencer.executed.eq(vectors.executed | multiplied),
            sequencer.refused.eq(Mux(multiplying, self.refused, Error.NONE)),
        ]
        with m.If(start):
            m.d.sync += multiplying.eq(1)
        with m.Elif(multiplied | self.stop):
            m.d.sync += multiplying.eq(0)
