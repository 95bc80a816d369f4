"""The core: one matrix-vector product per instruction, behind an AXI4-Lite port."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect

from hw.bus.axi4_lite import AXI4LiteSignature, AXI4LiteSlave
from hw.bus.csr import ADDRESS_WIDTH, RegisterFile
from hw.bus.input_window import InputWindow
from hw.controller import Controller
from hw.encode.vector_encoder import VectorEncoder
from hw.instruction import InstructionCheck
from hw.integrate.mac import MacLanes
from hw.integrate.output_buffer import OutputBuffer
from hw.integrate.scaler import GroupScaler
from hw.integrate.spike import SpikeLanes
from hw.integrate.tile_engine import TileEngine
from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import CoreParams
from hw.spec.registers import Error
from hw.synapse.external import ExternalMemory, axi_signature
from hw.synapse.onchip import OnChipMemory

PREFIX = "s_axil_"
MEMORY_PREFIX = "m_axi_"

#: Ports of the clock domain.
CLOCK = ("clk", "rst")

#: Lanes of every integrator.
LANES = {"mac": MacLanes, "spike": SpikeLanes}


def core_signature(params: CoreParams) -> wiring.Signature:
    """Flat ports of a core."""
    bus = AXI4LiteSignature(ADDRESS_WIDTH).flip()
    ports = {name: In(1) for name in CLOCK}
    ports |= {f"{PREFIX}{name}": member for name, member in bus.members.items()}
    if params.external:
        memory = axi_signature(params)
        ports |= {f"{MEMORY_PREFIX}{name}": port for name, port in memory.members.items()}
    return wiring.Signature(ports)


class Core(wiring.Component):
    """Encoder, synapse memory, lanes, scaler and output buffer with their registers.

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
        core has no window to synapse memory: the host writes it by its own way.
    """

    #: Parts that a variant of the core may replace.
    encoder, external_memory = VectorEncoder, ExternalMemory

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(core_signature(params))

    def elaborate(self, platform):
        """Connect bus, registers, memories and datapath."""
        m = Module()
        params = self._params
        m.domains.sync = sync = ClockDomain()
        m.domains.entry = entry = ClockDomain(reset_less=True)
        sync.clk = entry.clk = self.clk
        m.d.entry += sync.rst.eq(self.rst)
        m.submodules.bus = bus = AXI4LiteSlave(ADDRESS_WIDTH)
        m.submodules.registers = registers = RegisterFile(params)
        m.submodules.check = check = InstructionCheck(params)
        memory = self.external_memory if params.external else OnChipMemory
        m.submodules.synapse = synapse = memory(params)
        m.submodules.inputs = inputs = InputWindow(params)
        self._export(m, PREFIX, bus.axi)
        connect(m, bus.registers, registers.bus)

        stop = Signal()  # a register, as it reaches everything
        abort = ResetInserter(stop)
        controller, encoder = Controller(), self.encoder(params)
        engine, lanes = TileEngine(params), LANES[params.integrator](params)
        scaler, outputs = GroupScaler(params), OutputBuffer(params)
        m.submodules.controller = abort(controller)
        m.submodules.encoder = abort(encoder)
        m.submodules.engine = abort(engine)
        m.submodules.lanes = abort(lanes)
        m.submodules.scaler = abort(scaler)
        m.submodules.outputs = abort(outputs)

        self._connect_windows(m, registers, inputs, encoder, outputs)
        self._connect_data(m, stop, engine, encoder, synapse, lanes, scaler, outputs)
        self._connect_instruction(m, registers, check, encoder, engine, scaler, outputs)

        status = registers.status
        m.d.comb += [
            controller.start.eq(registers.control.start),
            controller.tiles.eq(registers.shape.tiles * params.sub_tiles),
            controller.refused.eq(check.error),
            controller.tile_done.eq(outputs.tile_done),
            encoder.start.eq(controller.launch),
            engine.start.eq(controller.launch),
            outputs.clear.eq(controller.launch),
            status.busy.eq(controller.busy),
            status.done.eq(controller.done),
            status.error.eq(controller.error),
        ]
        if params.external:
            self._connect_external(m, registers, synapse, encoder, controller)
            m.d.sync += stop.eq(registers.control.reset | synapse.failed)
        else:
            m.d.sync += stop.eq(registers.control.reset)
            connect(m, registers.memory_data, synapse.window)
            m.d.comb += synapse.busy.eq(controller.busy)
        reads = synapse if params.external else engine
        for counter, source in {
            "spikes": encoder,
            "silent": encoder,
            "integer_events": encoder,
            "steps": encoder,
            "rows_read": reads,
            "beats_read": reads,
            "stall_encoder": engine,
            "stall_scaler": engine,
            "stall_memory": engine,
            "cycles": controller,
        }.items():
            m.d.comb += getattr(registers, counter).eq(getattr(source, counter))
        m.d.comb += registers.scale_base.eq(encoder.base)
        return m

    def _export(self, m, prefix, bus):
        """Join the members of a bus to the core's flat ports."""
        for name, member in bus.signature.members.items():
            port, inner = getattr(self, prefix + name), getattr(bus, name)
            m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)

    def _connect_external(self, m, registers, synapse, encoder, controller):
        self._export(m, MEMORY_PREFIX, synapse.axi)
        connect(m, encoder.classified, synapse.classified)
        shape, mode, status = registers.shape, registers.mode, registers.status
        response = Mux(synapse.error, Error.RESPONSE, Error.NONE)
        scale_beats = Mux(mode.format, W8.scale_beats, W4.scale_beats)
        m.d.comb += [
            synapse.start.eq(controller.launch),
            synapse.abort.eq(registers.control.reset),
            synapse.tiles.eq(shape.tiles),
            synapse.weight_base.eq(registers.weight_base),
            controller.draining.eq(synapse.draining),
            status.busy.eq(controller.busy | synapse.draining),
            status.error.eq(Mux(controller.error, controller.error, response)),
            registers.beats_hole.eq(synapse.beats_hole),
        ]
        m.d.sync += [
            synapse.blocks.eq((shape.inputs + BLOCK - 1) // BLOCK),
            synapse.head_beats.eq(scale_beats + Mux(mode.sums, SUM_BEATS, 0)),
        ]

    def _connect_windows(self, m, registers, inputs, encoder, outputs):
        connect(m, registers.input_data, inputs.window)
        connect(m, inputs.input, encoder.input)
        window = registers.output_data
        m.d.comb += [
            outputs.address.eq(window.address),
            window.readable.eq(window.address < 2 * self._params.max_outputs),
            window.read_data.eq(outputs.word),
        ]

    def _connect_data(self, m, stop, engine, encoder, synapse, lanes, scaler, outputs):
        connect(m, engine.read, synapse.read)
        connect(m, encoder.events, engine.events)
        beat, head = engine.beat, synapse.read.head_data
        for stage in range(1, lanes.latency):  # a head must not overtake the rows before it
            later_beat = Signal.like(beat, name=f"beat_{stage}")
            later_head = Signal.like(head, name=f"head_{stage}")
            m.d.sync += [later_beat.eq(beat), later_head.eq(head)]
            with m.If(stop):
                m.d.sync += later_beat.eq(0)
            beat, head = later_beat, later_head
        m.d.comb += [
            encoder.replay.eq(engine.replay),
            lanes.beat.eq(engine.beat),
            lanes.weights.eq(synapse.read.data),
            scaler.beat.eq(beat),
            scaler.weights.eq(head),
            scaler.handover.eq(lanes.handover),
            scaler.group.eq(lanes.group),
            scaler.sums.eq(lanes.sums),
            outputs.results.eq(scaler.results),
            outputs.slot.eq(scaler.slot),
            outputs.valid.eq(scaler.valid),
            outputs.last.eq(scaler.last),
        ]

    def _connect_instruction(self, m, registers, check, encoder, engine, scaler, outputs):
        shape, mode, quantizer = registers.shape, registers.mode, registers.quantizer
        wide = mode.format
        m.d.comb += [
            check.inputs.eq(shape.inputs),
            check.tiles.eq(shape.tiles),
            check.weight_base.eq(registers.weight_base),
            check.table.eq(mode.table),
            check.wide.eq(wide),
            check.codes.eq(mode.codes),
            check.fixed.eq(mode.fixed),
            check.sums.eq(mode.sums),
            check.silent_level.eq(quantizer.silent),
            encoder.inputs.eq(shape.inputs),
            encoder.tiles.eq(shape.tiles),
            encoder.table.eq(mode.table),
            encoder.codes.eq(mode.codes),
            encoder.fixed.eq(mode.fixed),
            encoder.constant.eq(quantizer.constant),
            encoder.threshold.eq(quantizer.threshold),
            encoder.silent_level.eq(quantizer.silent),
            encoder.fault.eq(registers.fault.as_value()),
            engine.tiles.eq(shape.tiles),
            engine.weight_base.eq(registers.weight_base),
            engine.wide.eq(wide),
            engine.sums.eq(mode.sums),
            scaler.wide.eq(wide),
            scaler.silent.eq(check.silent),
            outputs.wide.eq(wide),
            outputs.fault.eq(registers.fault.as_value()),
        ]
