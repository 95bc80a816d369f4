"""The core: a matrix unit, and for whole tokens a token unit, behind AXI4-Lite and AXI4 ports."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.bus.axi4_lite import AXI4LiteSignature, AXI4LiteSlave
from hw.bus.csr import ADDRESS_WIDTH, RegisterFile
from hw.bus.input_window import InputWindow
from hw.matrix_unit import LANES, MatrixUnit
from hw.sequence.storer import write_signature
from hw.sequence.token_unit import TokenUnit
from hw.sequence.totals import Totals
from hw.spec.params import CoreParams
from hw.spec.registers import COUNTERS, CROSSBAR_COUNTERS
from hw.synapse.external import axi_signature

__all__ = ["CLOCK", "LANES", "MEMORY_PREFIX", "PREFIX", "Core", "core_signature"]

PREFIX = "s_axil_"
MEMORY_PREFIX = "m_axi_"

#: Ports of the clock domain.
CLOCK = ("clk", "rst")

#: What the token unit knows of the matrix unit.
STATES = (
    *("encoded", "multiplied", "encode_refused", "failed"),
    *("bases", "tile_done", "accumulator"),
)


def core_signature(params: CoreParams) -> wiring.Signature:
    """Flat ports of a core."""
    bus = AXI4LiteSignature(ADDRESS_WIDTH).flip()
    ports = {name: In(1) for name in CLOCK}
    ports |= {f"{PREFIX}{name}": member for name, member in bus.members.items()}
    memories = [axi_signature(params)] if params.external else []
    if params.vector_words:
        memories.append(write_signature(params))
        ports["irq"] = Out(1)
    for memory in memories:
        ports |= {f"{MEMORY_PREFIX}{name}": port for name, port in memory.members.items()}
    return wiring.Signature(ports)


class Core(wiring.Component):
    """Registers, and the units that do what they say.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    clk, rst : In(1)
        Clock, and synchronous reset, which acts one cycle later: behind a register it burdens
        neither timing nor simulators.
    s_axil_awaddr, s_axil_awvalid, ...
        AXI4-Lite slave: the members of :func:`hw.bus.axi4_lite.AXI4LiteSignature`, flat, so that
        the ports of the Verilog have the names that system builders look for. Behind it are the
        registers and data windows of :mod:`hw.spec.registers`.
    m_axi_araddr, m_axi_arvalid, ...
        AXI4 read manager, :func:`hw.bus.axi4.AXI4ReadSignature`, where memory is external. Such a
        core has no window to synapse memory: the host writes it by its own way. With a token unit
        also the write half, :func:`hw.bus.axi4.AXI4WriteSignature`.
    irq : Out(1)
        Interrupt request, as register ``interrupt`` says; with a token unit.
    """

    #: What a variant of the core may replace.
    matrix_unit = MatrixUnit

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(core_signature(params))

    def elaborate(self, platform):
        """Connect bus, registers and units."""
        m = Module()
        params = self._params
        m.domains.sync = sync = ClockDomain()
        m.domains.entry = entry = ClockDomain(reset_less=True)
        sync.clk = entry.clk = self.clk
        m.d.entry += sync.rst.eq(self.rst)
        m.submodules.bus = bus = AXI4LiteSlave(ADDRESS_WIDTH)
        m.submodules.registers = registers = RegisterFile(params)
        m.submodules.inputs = inputs = InputWindow(params)
        m.submodules.matrix = matrix = self.matrix_unit(params, domain="entry")
        self._export(m, PREFIX, bus.axi)
        connect(m, bus.registers, registers.bus)
        connect(m, registers.input_data, inputs.window)

        outputs = registers.output_data
        m.d.comb += [
            outputs.readable.eq(outputs.address < 2 * params.max_outputs),
            matrix.fault.eq(registers.fault),
            registers.scale_base.eq(matrix.bases[registers.mode.vector]),
        ]
        m.d.sync += outputs.read_data.eq(matrix.word)
        if params.vector_words:
            self._connect_token_unit(m, registers, inputs, matrix)
            return m

        connect(m, inputs.input, matrix.input)
        if params.external:
            self._export(m, MEMORY_PREFIX, matrix.memory)
        else:
            connect(m, registers.memory_data, matrix.memory)
        m.d.comb += [
            *self._command(registers, matrix.encoding, matrix.command),
            matrix.encode.eq(registers.control.start),
            matrix.start.eq(registers.control.start & ~registers.mode.encode),
            matrix.abort.eq(registers.control.reset),
            matrix.address.eq(outputs.address),
            registers.status.busy.eq(matrix.busy),
            registers.status.done.eq(matrix.done),
            registers.status.error.eq(matrix.error),
            *(getattr(registers, name).eq(matrix.counters[name]) for name in COUNTERS),
        ]
        if params.crossbar:
            m.d.comb += [
                matrix.array.eq(registers.array),
                *(getattr(registers, name).eq(getattr(matrix, name)) for name in CROSSBAR_COUNTERS),
            ]
        return m

    def _export(self, m, prefix, bus):
        """Join the members of a bus to the core's flat ports."""
        for name, member in bus.signature.members.items():
            port, inner = getattr(self, prefix + name), getattr(bus, name)
            m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)

    def _command(self, registers, encoding, command):
        """Let the matrix unit do what the registers say: encode a vector, multiply all up to it."""
        vector = registers.mode.vector
        return [
            *(task.inputs.eq(registers.shape.inputs) for task in (encoding, command)),
            *(task.mode.eq(registers.mode) for task in (encoding, command)),
            *(task.quantizer.eq(registers.quantizer) for task in (encoding, command)),
            encoding.vector.eq(vector),
            encoding.join.eq(vector != 0),
            command.tiles.eq(registers.shape.tiles),
            command.weight_base.eq(registers.weight_base),
            command.last.eq(vector),
        ]

    def _connect_token_unit(self, m, registers, inputs, matrix):
        """Let the token unit use the matrix unit while its program runs, and the host else."""
        params = self._params
        unit = TokenUnit(params, domain="entry")
        m.submodules.token = unit
        m.submodules.totals = totals = Totals()
        self._export(m, MEMORY_PREFIX, unit.reads)
        self._export(m, MEMORY_PREFIX, unit.writes)
        connect(m, matrix.memory, unit.weights)
        connect(m, registers.best_data, unit.best)
        connect(m, registers.vector_data, unit.vector)
        control, status = registers.control, registers.status
        # Registers, as they reach far; the host cannot write again as soon as that. Between an
        # abort and what it leaves to drain lies the cycle of `stop`.
        busy, taken = Signal(), Signal()
        m.d.sync += [
            busy.eq(unit.busy | unit.draining | matrix.busy | matrix.stop),
            taken.eq(unit.busy),
        ]
        program = Signal()  # what ran last
        start = control.start & ~control.run
        m.d.comb += [
            unit.run.eq(control.run & ~status.busy),
            unit.program.eq(registers.program),
            unit.token.eq(registers.token),
            unit.position.eq(registers.position),
            unit.abort.eq(control.reset),
            unit.stop.eq(matrix.stop),
            unit.refused.eq(matrix.error),
            *(getattr(unit, name).eq(getattr(matrix, name)) for name in STATES),
            *self._command(registers, unit.host_encoding, unit.host_command),
            matrix.encoding.eq(unit.encoding),
            matrix.command.eq(unit.command),
            matrix.encode.eq(unit.encode | (start & ~taken)),
            matrix.start.eq(unit.multiply | (start & ~taken & ~registers.mode.encode)),
            matrix.beside.eq(taken),
            matrix.abort.eq(control.reset | unit.halt),
            matrix.address.eq(Mux(taken, unit.output << 1, registers.output_data.address)),
            status.busy.eq(busy),
            status.done.eq(Mux(program, unit.done, matrix.done)),
            status.error.eq(Mux(program, unit.error, matrix.error)),
            self.irq.eq(registers.interrupt.enable & ~busy & (status.done | status.error.any())),
            registers.instruction.eq(unit.number),
            registers.waiting.eq(unit.waiting),
            registers.token_cycles.eq(unit.cycles),
            totals.clear.eq(unit.run),
            totals.ended.eq(unit.counted),
            totals.counters.eq(matrix.counters),
            *(
                getattr(registers, name).eq(
                    Mux(program, totals.totals[name], matrix.counters[name])
                )
                for name in COUNTERS
            ),
        ]
        with m.If(unit.run):
            m.d.sync += program.eq(1)
        with m.Elif(start & ~busy):
            m.d.sync += program.eq(0)
        for name in inputs.input.signature.members:  # all 0 where nothing is written
            host, token, used = (
                Value.cast(getattr(writer.input, name)) for writer in (inputs, unit, matrix)
            )
            m.d.comb += used.eq(token | host)
