"""Matrix unit: encodes vectors, and multiplies them by matrices, from input to output buffer."""

from __future__ import annotations

from amaranth.hdl import DomainRenamer, Module, Mux, ResetInserter, ResetSignal, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.csr import register_layout
from hw.bus.window import WindowSignature
from hw.controller import Controller
from hw.encode.input_buffer import input_signature
from hw.encode.vector_encoder import VectorEncoder
from hw.instruction import InstructionCheck, command_layout, encoding_layout
from hw.integrate.mac import MacLanes
from hw.integrate.output_buffer import OutputBuffer
from hw.integrate.scaler import GroupScaler
from hw.integrate.spike import SpikeLanes
from hw.integrate.tile_engine import TileEngine
from hw.sequence.totals import counters_layout
from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import CoreParams
from hw.spec.registers import CROSSBAR_COUNTERS, REGISTERS, Error
from hw.synapse.crossbar.delay import LongDelay
from hw.synapse.crossbar.lanes import CrossbarLanes, array_layout
from hw.synapse.external import ExternalMemory, axi_signature
from hw.synapse.onchip import OnChipMemory

#: Lanes of every integrator.
LANES = {"mac": MacLanes, "spike": SpikeLanes}

#: Ports of the output buffer that are the unit's.
OUTPUTS = ("word", "accumulator", "tile_done")

#: Cycles up to which heads keep pace with their rows in registers; beyond, in a memory.
MOST_STAGES = 64


class MatrixUnit(wiring.Component):
    """Encoder, synapse memory, lanes, scaler and output buffer.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    domain : str
        Clock domain of all that ``stop`` resets: that of the unit, or one with the same clock and
        no reset, as ``stop`` does what the unit's reset does.

    Members
    -------
    encode : In(1)
        Encode the vector in the input buffer as ``encoding`` says; pulses, while ``encoded``.
    start : In(1)
        Multiply vectors as ``command`` says; pulses, while ``multiplied``. The one that is being
        encoded may be among them. With ``encode`` only where both say the same.
    encoding, command : In(struct)
        See :func:`hw.instruction.encoding_layout` and :func:`hw.instruction.command_layout`; stable
        from their pulse to their end.
    beside : In(1)
        One may begin while the other runs; else that is refused.
    fault : In(struct)
        The ``fault`` register.
    abort : In(1)
        Forget what runs.
    stop : Out(1)
        It is forgotten, after ``abort``, a reset or an error of memory; pulses.
    encoded, multiplied : Out(1)
        Nothing is being encoded; nothing multiplied. Low from the cycle after the pulse on.
    busy, done, error
        Bits of the ``status`` register.
    encode_refused : Out(1)
        ``error`` is that of an ``encode`` alone.
    draining : Out(1)
        Data of what was forgotten are awaited.
    failed : Out(1)
        External memory has answered with an error; pulses.
    input : In
        Input buffer; see :func:`hw.encode.input_buffer.input_signature`.
    bases : Out(ArrayLayout(4, batch))
        Base exponents of the vectors.
    address, word, accumulator, tile_done
        Output buffer; see :class:`hw.integrate.output_buffer.OutputBuffer`.
    counters : Out(struct)
        See :func:`hw.sequence.totals.counters_layout`.
    array : In(array_layout)
        With crossbars: the matrix that is multiplied.
    array_steps, conversions, lines_raised : Out(32)
        With crossbars: what they did.
    memory : In(WindowSignature) or Out(AXI4ReadSignature)
        The host's window to synapse memory on chip, or the bus to that outside.
    """

    #: Parts that a variant may replace.
    encoder, external_memory = VectorEncoder, ExternalMemory

    def __init__(self, params: CoreParams, *, domain: str = "sync"):
        self._params, self._domain = params, domain
        memory = Out(axi_signature(params)) if params.external else In(WindowSignature())
        crossbar = {}
        if params.crossbar:
            crossbar = {"array": In(array_layout()), **dict.fromkeys(CROSSBAR_COUNTERS, Out(32))}
        super().__init__(
            {
                **dict.fromkeys(("encode", "start"), In(1)),
                "encoding": In(encoding_layout()),
                "command": In(command_layout()),
                "beside": In(1),
                "fault": In(register_layout(REGISTERS["fault"])),
                "abort": In(1),
                "stop": Out(1),
                **dict.fromkeys(("encoded", "multiplied", "busy", "done"), Out(1)),
                "error": Out(8),
                **dict.fromkeys(("encode_refused", "draining", "failed"), Out(1)),
                "input": In(input_signature(params)),
                "bases": Out(data.ArrayLayout(4, params.batch)),
                "address": In(range(2 * params.max_outputs)),
                "word": Out(32),
                "accumulator": Out(signed(params.accumulator_width)),
                "tile_done": Out(1),
                "counters": Out(counters_layout()),
                "memory": memory,
                **crossbar,
            }
        )

    def elaborate(self, platform):
        """Connect the datapath, and what goes along it."""
        m = Module()
        params = self._params
        m.submodules.check = check = InstructionCheck(params)
        memory = self.external_memory if params.external else OnChipMemory
        domain = {"domain": self._domain} if params.external else {}
        m.submodules.synapse = synapse = memory(params, **domain)

        def abort(unit):  # by a register alone, as that reaches everything
            return DomainRenamer(self._domain)(ResetInserter(self.stop)(unit))

        controller, encoder = Controller(), self.encoder(params)
        kind = CrossbarLanes if params.crossbar else LANES[params.integrator]
        engine, lanes = TileEngine(params), kind(params)
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
        self._connect_encoding(m, encoder)
        self._connect_command(m, check, controller, encoder, engine, scaler, outputs)
        m.d.comb += [
            *(
                getattr(controller, name).eq(getattr(self, name))
                for name in ("encode", "start", "beside")
            ),
            check.encoding.eq(self.encoding),
            check.command.eq(self.command),
            check.product.eq(controller.checks_product),
            controller.refused.eq(check.error),
            controller.stored.eq(encoder.encoded),
            encoder.start.eq(controller.begin_encode),
            engine.start.eq(controller.begin_product),
            outputs.clear.eq(controller.begin_product),
            outputs.address.eq(self.address),
            *(
                getattr(self, name).eq(getattr(controller, name))
                for name in ("encoded", "multiplied", "done", "encode_refused")
            ),
            *(getattr(self, name).eq(getattr(outputs, name)) for name in OUTPUTS),
            self.bases.eq(encoder.bases),
        ]
        if params.crossbar:
            m.d.comb += [
                lanes.start.eq(controller.begin_product),
                lanes.array.eq(self.array),
                *(getattr(self, name).eq(getattr(lanes, name)) for name in CROSSBAR_COUNTERS),
            ]
        ends = self.abort | ResetSignal("sync")
        if params.external:
            self._connect_external(m, synapse, encoder, controller)
            ends |= synapse.failed
        else:
            m.d.comb += [
                self.busy.eq(controller.busy),
                self.error.eq(controller.error),
                synapse.busy.eq(controller.busy),
            ]
        m.d[self._domain] += self.stop.eq(ends)
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
        command, encoding = self.command, self.encoding
        response = Mux(synapse.error, Error.RESPONSE, Error.NONE)
        scale_beats = Mux(command.mode.format, W8.scale_beats, W4.scale_beats)
        m.d.comb += [
            synapse.encode.eq(controller.begin_encode),
            synapse.encoding.eq(~encoder.encoded),
            synapse.joins.eq(encoding.join),
            synapse.bank.eq(encoding.bank),
            synapse.start.eq(controller.begin_product),
            synapse.source.eq(command.bank),
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
            synapse.blocks.eq((command.inputs + BLOCK - 1) // BLOCK),
            synapse.head_beats.eq(scale_beats + Mux(command.mode.sums, SUM_BEATS, 0)),
        ]

    def _connect_data(self, m, engine, encoder, synapse, lanes, scaler, outputs):
        connect(m, engine.read, synapse.read)
        connect(m, encoder.events, engine.events)
        beat, head = engine.beat, synapse.read.head_data
        stages = lanes.latency  # a head must not overtake the rows before it
        if stages > MOST_STAGES:
            both = data.StructLayout({"beat": beat.shape(), "head": len(head)})
            m.submodules.later = later = ResetInserter(self.stop)(LongDelay(both, stages - 1))
            m.d.comb += [later.value.beat.eq(beat), later.value.head.eq(head)]
            beat, head, stages = later.later.beat, later.later.head, 1
        for stage in range(1, stages):
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

    def _connect_encoding(self, m, encoder):
        mode, quantizer = self.encoding.mode, self.encoding.quantizer
        m.d.comb += [
            encoder.inputs.eq(self.encoding.inputs),
            encoder.fault.eq(self.fault.as_value()),
        ]
        # Registers, as the classifier is behind them; the encoder is started some cycles later.
        m.d.sync += [
            encoder.vector.eq(self.encoding.vector),
            encoder.table.eq(mode.table),
            encoder.codes.eq(mode.codes),
            encoder.fixed.eq(mode.fixed),
            encoder.constant.eq(quantizer.constant),
            encoder.threshold.eq(quantizer.threshold),
            encoder.silent_level.eq(quantizer.silent),
        ]

    def _connect_command(self, m, check, controller, encoder, engine, scaler, outputs):
        command = self.command
        mode = command.mode
        more = Signal(range(self._params.batch))  # vectors after the first
        m.d.sync += more.eq(command.last - command.first)
        m.d.comb += [
            controller.tiles.eq(command.tiles * self._params.sub_tiles),
            controller.tile_done.eq(scaler.ends),
            encoder.first.eq(command.first),
            encoder.final.eq(command.last),
            encoder.streamed.eq(command.inputs),
            encoder.tiles.eq(command.tiles),
            engine.vector.eq(more),
            engine.tiles.eq(command.tiles),
            engine.weight_base.eq(command.weight_base),
            engine.wide.eq(mode.format),
            engine.sums.eq(mode.sums),
            scaler.wide.eq(mode.format),
            scaler.final.eq(more),
            outputs.wide.eq(mode.format),
            outputs.fault.eq(self.fault.as_value()),
        ]
        with m.If(controller.begin_product):
            m.d.sync += scaler.silent.eq(check.silent)
