"""Token unit: all that a core needs beside the matrix unit to run whole tokens by itself."""

from __future__ import annotations

from amaranth.hdl import Cat, DomainRenamer, Module, Mux, ResetInserter, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.csr import register_layout
from hw.bus.read_arbiter import ReadArbiter
from hw.bus.window import WORD, WindowSignature
from hw.encode.input_buffer import input_signature
from hw.encode.slice import Slice
from hw.instruction import command_layout, encoding_layout
from hw.sequence.instruction_fetch import InstructionFetch
from hw.sequence.loader import Loader
from hw.sequence.sequencer import Sequencer
from hw.sequence.storer import Storer, octet_layout, write_signature
from hw.sequence.totals import counted_layout
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
    domain : str
        Clock domain of the vector unit; see :class:`hw.matrix_unit.MatrixUnit`.

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
    host_encoding, host_command : In(struct)
        What the host may want done while no program runs; ``encoding`` and ``command`` then are
        these, a cycle later.
    encode, multiply : Out(1)
        Begin ``encoding``, or ``command``; pulse.
    encoding, command : Out(struct)
        See :mod:`hw.instruction`; each stable to its end.
    counted : Out(struct)
        What counts has ended; see :func:`hw.sequence.totals.counted_layout`.
    encoded, multiplied, refused, encode_refused, failed, bases : In
        States of the matrix unit; see :class:`hw.matrix_unit.MatrixUnit`, where ``refused`` is
        ``error``.
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

    def __init__(self, params: CoreParams, *, domain: str = "sync"):
        self.params, self._domain = params, domain
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
                "host_encoding": In(encoding_layout()),
                "host_command": In(command_layout()),
                **dict.fromkeys(("encode", "multiply"), Out(1)),
                "encoding": Out(encoding_layout()),
                "command": Out(command_layout()),
                "counted": Out(counted_layout()),
                **dict.fromkeys(("encoded", "multiplied", "encode_refused", "failed"), In(1)),
                "refused": In(8),
                "bases": In(data.ArrayLayout(4, params.batch)),
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
        """Join the sequencer, the units and the bus."""
        m = Module()
        params = self.params
        sequencer = Sequencer(params)
        m.submodules.sequencer = ResetInserter(self.abort)(sequencer)
        vectors = VectorUnit(params)
        m.submodules.vector_unit = DomainRenamer(self._domain)(vectors)
        m.submodules.fetch = fetch = InstructionFetch(params, domain=self._domain)
        m.submodules.loader = loader = Loader(params, domain=self._domain)
        m.submodules.storer = storer = Storer(params)
        m.submodules.arbiter = arbiter = ReadArbiter(params)
        m.submodules.waiting = waiting = Waiting()

        managers = (flipped(self.weights), loader.axi, fetch.axi)
        for manager, port in zip(managers, arbiter.managers, strict=True):
            connect(m, manager, port)
        connect(m, arbiter.axi, flipped(self.reads))
        connect(m, storer.axi, flipped(self.writes))
        connect(m, fetch.instruction, sequencer.instructions)
        m.submodules.octets = octets = ResetInserter(storer.draining)(Slice(octet_layout()))
        connect(m, vectors.octets, octets.source)
        connect(m, octets.target, storer.octets)
        connect(m, loader.write, vectors.load)
        for name in ("input", "best", "vector"):
            connect(m, getattr(vectors, name), flipped(getattr(self, name)))
        self._connect_load(m, sequencer, loader, vectors)
        self._connect_vectors(m, sequencer, vectors)
        self._connect_matrix(m, sequencer, vectors)

        m.d.comb += [
            fetch.start.eq(sequencer.fetch),
            fetch.address.eq(self.program),
            fetch.stop.eq(self.stop),
            loader.abort.eq(self.stop),
            storer.abort.eq(self.stop),
            vectors.stop.eq(self.stop),
            vectors.clear.eq(self.run),
            vectors.stored.eq(storer.stored & ~octets.target.valid),
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
            waiting.fetching.eq(sequencer.fetching),
            waiting.running.eq(sequencer.running),
            waiting.opcode.eq(sequencer.tasks.vector.instruction.opcode),
            waiting.multiplied.eq(self.multiplied),
            waiting.drained.eq(vectors.drained),
            waiting.stored.eq(storer.stored),
            waiting.draining.eq(self.draining),
            self.waiting.eq(waiting.units),
        ]
        # A cycle later, as it comes from far, and as far it goes.
        m.d.sync += [
            vectors.closed.eq(self.busy),
            sequencer.failed.load.eq(loader.failed),
            sequencer.failed.vector.eq(storer.failed),
            sequencer.failed.matvec.eq(self.failed),
        ]
        return m

    def _connect_load(self, m, sequencer, loader, vectors):
        task = sequencer.tasks.load
        m.d.comb += [
            loader.start.eq(sequencer.starts.load),
            loader.instruction.eq(task.instruction),
            loader.count.eq(task.instruction.count),
            loader.origin.eq(task.origin),
            loader.granted.eq(vectors.granted),
            sequencer.ended.load.eq(loader.done),
        ]

    def _connect_vectors(self, m, sequencer, vectors):
        m.d.comb += [
            vectors.starts.eq(sequencer.starts),
            vectors.task.eq(sequencer.tasks.vector),
            vectors.product.eq(sequencer.tasks.matvec),
            vectors.bases.eq(self.bases),
            vectors.tile_done.eq(self.tile_done),
            vectors.accumulator.eq(self.accumulator),
            self.output.eq(vectors.output),
            sequencer.ended.vector.eq(vectors.executed),
        ]

    def _connect_matrix(self, m, sequencer, vectors):
        """Begin what the sequencer starts; a product ends with its drain."""
        starts, running = sequencer.starts, sequencer.running
        # From the cycle after its start on, the states are those of a task.
        encodes, multiplies = running.encode & ~starts.encode, running.matvec & ~starts.matvec
        # Busy is a unit whose memory has failed, which it tells once nothing is awaited any more.
        refusable = Mux(self.encode_refused, encodes, multiplies) & (self.refused != Error.BUSY)
        m.d.comb += [
            self.encode.eq(starts.encode),
            self.multiply.eq(starts.matvec),
            sequencer.ended.encode.eq(encodes & self.encoded),
            sequencer.ended.matvec.eq(multiplies & self.multiplied & vectors.drained),
        ]
        # A cycle later, as what follows from it reaches far.
        m.d.sync += [
            sequencer.refused.eq(Mux(refusable, self.refused, Error.NONE)),
            sequencer.encode_refused.eq(self.encode_refused),
        ]
        encode, matvec = (sequencer.tasks[name].instruction for name in ("encode", "matvec"))
        for command, instruction, host, idle in (
            (self.encoding, encode, self.host_encoding, sequencer.host.encode),
            (self.command, matvec, self.host_command, sequencer.host.matvec),
        ):
            m.d.comb += [
                idle.inputs.eq(host.inputs),
                idle.mode.eq(host.mode.as_value()),
                idle.quantizer.eq(host.quantizer.as_value()),
                idle.bank.eq(host.bank),
                command.inputs.eq(instruction.inputs),
                command.mode.as_value().eq(instruction.mode),
                command.quantizer.as_value().eq(instruction.quantizer),
                command.bank.eq(instruction.bank),
            ]
        m.d.comb += [
            sequencer.host.encode.vector.eq(self.host_encoding.vector),
            sequencer.host.encode.join.eq(self.host_encoding.join),
            sequencer.host.matvec.tiles.eq(self.host_command.tiles),
            sequencer.host.matvec.weight_base.eq(self.host_command.weight_base),
            sequencer.host.matvec.vector.eq(self.host_command.first),
            sequencer.host.matvec.vectors.eq(self.host_command.last - self.host_command.first + 1),
            self.encoding.vector.eq(encode.vector),
            self.encoding.join.eq(encode.join),
            self.command.tiles.eq(matvec.tiles),
            self.command.weight_base.eq(matvec.weight_base),
            self.command.first.eq(matvec.vector),
            self.command.last.eq(matvec.vector + matvec.vectors - 1),
        ]
