"""Matrix unit: multiplies one matrix by one vector, from the input buffer to the output buffer."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.csr import register_layout
from hw.bus.window import WindowSignature
from hw.controller import Controller
from hw.encode.input_buffer import input_signature
from hw.encode.vector_encoder import VectorEncoder
from hw.instruction import InstructionCheck
from hw.integrate.mac import MacLanes
from hw.integrate.output_buffer import OutputBuffer
from hw.integrate.scaler import GroupScaler
from hw.integrate.spike import SpikeLanes
from hw.integrate.tile_engine import TileEngine
from hw.sequence.totals import counters_layout
from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, Error
from hw.synapse.external import ExternalMemory, axi_signature
from hw.synapse.onchip import OnChipMemory

#: Lanes of every integrator.
LANES = {"mac": MacLanes, "spike": SpikeLanes}


def command_layout() -> data.StructLayout:
    """Return the layout of what is to be multiplied: fields of registers, or of an instruction.

    ``reuse`` says that the vector is encoded already.
    """
    modes = {name: register_layout(REGISTERS[name]) for name in ("mode", "quantizer")}
    return data.StructLayout({"inputs": 16, "tiles": 16, "weight_base": 32, **modes, "reuse": 1})


class MatrixUnit(wiring.Component):
    """Encoder, synapse memory, lanes, scaler and output buffer.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start : In(1)
        Execute ``command``; pulses. Not while ``busy``, or it is refused.
    command : In(struct)
        See :func:`command_layout`; stable while ``busy``.
    fault : In(struct)
        The ``fault`` register.
    abort : In(1)
        Forget the command.
    stop : Out(1)
        The command is forgotten, after ``abort`` or an error of memory; pulses.
    busy, done, error
        Bits of the ``status`` register.
    draining : Out(1)
        Data of a forgotten command are awaited.
    failed : Out(1)
        External memory has answered with an error; pulses.
    input : In
        Input buffer; see :func:`hw.encode.input_buffer.input_signature`.
    base : Out(4)
        Base exponent of the encoded vector.
    address, word, accumulator, tile_done
        Output buffer; see :class:`hw.integrate.output_buffer.OutputBuffer`.
    counters : Out(struct)
        See :func:`hw.sequence.totals.counters_layout`.
    memory : In(WindowSignature) or Out(AXI4ReadSignature)
        The host's window to synapse memory on chip, or the bus to that outside.
    """

    #: Parts that a variant may replace.
    encoder, external_memory = VectorEncoder, ExternalMemory

    def __init__(self, params: CoreParams):
        self._params = params
        memory = Out(axi_signature(params)) if params.external else In(WindowSignature())
        super().__init__(
            {
                "start": In(1),
                "command": In(command_layout()),
                "fault": In(register_layout(REGISTERS["fault"])),
                "abort": In(1),
                **dict.fromkeys(("stop", "busy", "done"), Out(1)),
                "error": Out(8),
                **dict.fromkeys(("draining", "failed"), Out(1)),
                "input": In(input_signature(params)),
                "base": Out(4),
                "address": In(range(2 * params.max_outputs)),
                "word": Out(32),
                "accumulator": Out(signed(params.accumulator_width)),
                "tile_done": Out(1),
                "counters": Out(counters_layout()),
                "memory": memory,
            }
        )

    def elaborate(self, platform):
        """Connect the datapath, and what goes along it."""
        m = Module()
        params = self._params
        m.submodules.check = check = InstructionCheck(params)
        memory = self.external_memory if params.external else OnChipMemory
        m.submodules.synapse = synapse = memory(params)
        abort = ResetInserter(self.stop)  # a register, as it reaches everything
        controller, encoder = Controller(), self.encoder(params)
        engine, lanes = TileEngine(params), LANES[params.integrator](params)
        scaler, outputs = GroupScaler(params), OutputBuffer(params)
        m.submodules.controller = abort(controller)
        m.submodules.encoder = abort(encoder)
        m.submodules.engine = abort(engine)
        m.submodules.lanes = abort(lanes)
        m.submodules.scaler = abort(scaler)
        m.submodules.outputs = abort(outputs)

        connect(m, flipped(self.input), encoder.input)
        connect(m, flipped(self.memory), synapse.axi if params.external else synapse.window)
        self._connect_data(m, engine, encoder, synapse, lanes, scaler, outputs)
        self._connect_command(m, check, encoder, engine, scaler, outputs)
        m.d.comb += [
            controller.start.eq(self.start),
            controller.tiles.eq(self.command.tiles * params.sub_tiles),
            controller.refused.eq(check.error),
            controller.tile_done.eq(outputs.tile_done),
            encoder.start.eq(controller.launch & ~self.command.reuse),
            engine.start.eq(controller.launch),
            outputs.clear.eq(controller.launch),
            outputs.address.eq(self.address),
            self.word.eq(outputs.word),
            self.accumulator.eq(outputs.accumulator),
            self.tile_done.eq(outputs.tile_done),
            self.done.eq(controller.done),
            self.base.eq(encoder.base),
        ]
        if params.external:
            self._connect_external(m, synapse, encoder, controller)
        else:
            m.d.sync += self.stop.eq(self.abort)
            m.d.comb += [
                self.busy.eq(controller.busy),
                self.error.eq(controller.error),
                synapse.busy.eq(controller.busy),
            ]
        reads = synapse if params.external else engine
        for counter, source in {
            **dict.fromkeys(("spikes", "silent", "integer_events", "steps"), encoder),
            **dict.fromkeys(("rows_read", "beats_read"), reads),
            **dict.fromkeys(("stall_encoder", "stall_scaler", "stall_memory"), engine),
            "cycles": controller,
        }.items():
            m.d.comb += self.counters[counter].eq(getattr(source, counter))
        return m

    def _connect_external(self, m, synapse, encoder, controller):
        connect(m, encoder.classified, synapse.classified)
        command = self.command
        response = Mux(synapse.error, Error.RESPONSE, Error.NONE)
        scale_beats = Mux(command.mode.format, W8.scale_beats, W4.scale_beats)
        m.d.comb += [
            synapse.start.eq(controller.launch),
            synapse.reuse.eq(command.reuse),
            synapse.abort.eq(self.abort),
            synapse.tiles.eq(command.tiles),
            synapse.weight_base.eq(command.weight_base),
            controller.draining.eq(synapse.draining),
            self.draining.eq(synapse.draining),
            self.failed.eq(synapse.failed),
            self.busy.eq(controller.busy | synapse.draining),
            self.error.eq(Mux(controller.error, controller.error, response)),
            self.counters.beats_hole.eq(synapse.beats_hole),
        ]
        m.d.sync += [
            self.stop.eq(self.abort | synapse.failed),
            synapse.blocks.eq((command.inputs + BLOCK - 1) // BLOCK),
            synapse.head_beats.eq(scale_beats + Mux(command.mode.sums, SUM_BEATS, 0)),
        ]

    def _connect_data(self, m, engine, encoder, synapse, lanes, scaler, outputs):
        connect(m, engine.read, synapse.read)
        connect(m, encoder.events, engine.events)
        beat, head = engine.beat, synapse.read.head_data
        for stage in range(1, lanes.latency):  # a head must not overtake the rows before it
            later_beat = Signal.like(beat, name=f"beat_{stage}")
            later_head = Signal.like(head, name=f"head_{stage}")
            m.d.sync += [later_beat.eq(beat), later_head.eq(head)]
            with m.If(self.stop):
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

    def _connect_command(self, m, check, encoder, engine, scaler, outputs):
        command = self.command
        mode, quantizer = command.mode, command.quantizer
        m.d.comb += [
            check.inputs.eq(command.inputs),
            check.tiles.eq(command.tiles),
            check.weight_base.eq(command.weight_base),
            check.table.eq(mode.table),
            check.wide.eq(mode.format),
            check.codes.eq(mode.codes),
            check.fixed.eq(mode.fixed),
            check.sums.eq(mode.sums),
            check.silent_level.eq(quantizer.silent),
            encoder.inputs.eq(command.inputs),
            encoder.tiles.eq(command.tiles),
            encoder.fault.eq(self.fault.as_value()),
            engine.tiles.eq(command.tiles),
            engine.weight_base.eq(command.weight_base),
            engine.wide.eq(mode.format),
            engine.sums.eq(mode.sums),
            scaler.wide.eq(mode.format),
            scaler.silent.eq(check.silent),
            outputs.wide.eq(mode.format),
            outputs.fault.eq(self.fault.as_value()),
        ]
        # Registers, as the classifier is behind them; the encoder is started some cycles later.
        m.d.sync += [
            encoder.table.eq(mode.table),
            encoder.codes.eq(mode.codes),
            encoder.fixed.eq(mode.fixed),
            encoder.constant.eq(quantizer.constant),
            encoder.threshold.eq(quantizer.threshold),
            encoder.silent_level.eq(quantizer.silent),
        ]
