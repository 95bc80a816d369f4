"""Encodes vectors of integers once, and replays their events for every tile of outputs."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.encode.block_scale import BlockScale
from hw.encode.block_summary import BlockSummary
from hw.encode.block_sums import BlockSums
from hw.encode.classifier import SUPPORTED_TABLES, Classifier, code_layout
from hw.encode.digits import Digits
from hw.encode.event import EventSignature
from hw.encode.event_counters import Counts, EventCounters
from hw.encode.event_memory import EventMemory
from hw.encode.event_sorter import EventSorter
from hw.encode.input_buffer import InputBuffer, input_signature
from hw.encode.quotient import UNIT_SCALE, Quotient
from hw.encode.scale_memory import ScaleMemory
from hw.encode.scheduler import Scheduler
from hw.encode.shared_sums import SharedSums
from hw.integrate.fault import fault_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.spec.scales import CONSTANT_BITS

__all__ = ["SUPPORTED_TABLES", "VectorEncoder"]


class VectorEncoder(wiring.Component):
    """Input buffer, quantizer and event memory; for ``spike`` also sorter and scheduler.

    While the vector is written, the sums are found from which its scales follow. From ``start`` on
    these scales and the base exponent are computed, one block a cycle, then the elements are
    quantized, one a cycle, and for ``spike`` sorted by level; ``mac`` takes them in the order of
    rows. :func:`hw.spec.encoder_cycles.stored_cycles` is the exact time of every block.
    A replay offers its first item 3 cycles after ``replay``, or 4 for ``spike``; the first one may
    chase the encoder. Mode ports (``vector`` to ``fault``) must not change from ``start`` until
    ``encoded``; meanwhile vectors that were encoded before may be replayed.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    input : In
        See :func:`hw.encode.input_buffer.input_signature`; not while a vector is encoded. The last
        block must end with the vector's last element.
    start : In(1)
        Encodes the vector in the input buffer, at the earliest 4 cycles after its last write, and
        one more for each doubling of the elements that are written at once.
    vector : In
        The number under which its events are kept.
    inputs : In(16)
        Elements of the vector, 1 to ``max_inputs``.
    table : In(4)
        Number of a table of ``SUPPORTED_TABLES``.
    constant : In(12)
        Scale constant.
    threshold : In(8)
        Silence threshold in 1/8 of the scale.
    silent_level : In(8)
        Silent level m; 0 where z = 0.
    codes : In(1)
        Test mode, where z = 0: the elements are decoded values, -255..255.
    fixed : In(1)
        Every block has the scale 16, as in the test mode: elements are -127..127, or to 255 where
        the table has levels for them.
    fault : In(struct)
        ``fault`` register; kind 1 inverts a bit of an event's code in event memory.
    encoded : Out(1)
        Low from ``start`` until the whole vector is in event memory.
    replay : In(1)
        Starts to stream vectors, after ``start``; the blocks of the one that is encoded are waited
        for.
    first, final : In
        Numbers of the first vector and of the last; stable until they are streamed.
    streamed : In(16)
        Elements of each of them; as stable, from a cycle before ``replay`` on.
    tiles : In(16)
        How often they are streamed, at least once.
    classified : Out(stream)
        Every code, in order; see :func:`hw.encode.classifier.code_layout`; must be accepted.
    events : Out(stream)
        See :func:`hw.encode.event.event_layout`.
    bases : Out(ArrayLayout(4, batch))
        Base exponent E of every vector.
    spikes, silent, integer_events, steps : Out(32)
        Counters of the encoding, right when ``encoded``.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "input": In(input_signature(params)),
                "start": In(1),
                **dict.fromkeys(("vector", "first", "final"), In(range(params.batch))),
                "inputs": In(16),
                "table": In(4),
                "constant": In(CONSTANT_BITS),
                "threshold": In(8),
                "silent_level": In(8),
                "codes": In(1),
                "fixed": In(1),
                "fault": In(fault_layout()),
                "encoded": Out(1, init=1),
                "replay": In(1),
                "streamed": In(16),
                "tiles": In(16, init=1),
                "classified": Out(stream.Signature(code_layout())),
                "events": Out(EventSignature(params)),
                "bases": Out(data.ArrayLayout(4, params.batch)),
                **{name: Out(32) for name in Counts._fields},
            }
        )

    def elaborate(self, platform):
        """Join the stages: buffer, scales, quantizer, readers of codes, event memory."""
        m = Module()
        params = self.params
        m.submodules.buffer = buffer = InputBuffer(params)
        m.submodules.block_sums = block_sums = BlockSums(params)
        m.submodules.block_scale = block_scale = BlockScale()
        m.submodules.scales = scales = ScaleMemory(params)
        go = Signal(init=1)  # the quantizer may advance
        quotient, classifier, digits = Quotient(), Classifier(), Digits()
        m.submodules.quotient = EnableInserter(go)(quotient)
        m.submodules.classifier = EnableInserter(go)(classifier)
        m.submodules.digits = EnableInserter(go)(digits)
        m.submodules.counters = counters = EventCounters(params)
        m.submodules.summary = summary = BlockSummary(params)
        m.submodules.memory = memory = EventMemory(params)

        connect(m, flipped(self.input), buffer.input)
        connect(m, flipped(self.input), block_sums.input)
        connect(m, block_scale.index, scales.index)
        connect(m, quotient.quotients, classifier.quotients)
        connect(m, classifier.classified, digits.classified)
        m.d.comb += [
            self.classified.payload.eq(classifier.classified.payload),
            self.classified.valid.eq(classifier.classified.valid & go),
        ]
        for reader in (counters, summary):
            m.d.comb += [
                reader.split.payload.eq(digits.split.payload),
                reader.split.valid.eq(digits.split.valid & go),
            ]
        connect(m, summary.summary, memory.header)
        fire = self._fire_in_time if params.integrator == "spike" else self._fire_in_rows
        fire(m, digits.split, memory, memory.events, go)
        m.d.comb += [
            block_scale.constant.eq(self.constant),
            classifier.table.eq(self.table),
            classifier.threshold.eq(self.threshold),
            classifier.silent.eq(self.silent_level),
            classifier.codes.eq(self.codes),
            memory.storing.eq(~self.encoded),
            *(
                getattr(memory, name).eq(getattr(self, name))
                for name in ("vector", "fault", "replay", "first", "final", "tiles")
            ),
            *(getattr(self, name).eq(getattr(counters, name)) for name in Counts._fields),
        ]
        for part in (scales, counters, memory):
            m.d.comb += part.clear.eq(self.start)
        if params.batch == 1:
            m.d.comb += self.bases[0].eq(scales.base)
        else:
            with m.If(~self.encoded):
                m.d.sync += self.bases[self.vector].eq(scales.base)

        position = Signal(range(params.max_inputs))
        encode, final = Signal(), Signal()
        blocks = Signal(range(params.max_blocks + 1))
        m.d.comb += [
            final.eq(position + 1 == self.inputs),
            buffer.position.eq(position),
            buffer.en.eq(go),
            scales.block.eq(position // BLOCK),
        ]
        m.d.sync += [
            blocks.eq((self.inputs + BLOCK - 1) // BLOCK),
            memory.blocks.eq((self.streamed + BLOCK - 1) // BLOCK),
        ]

        scan = Signal()
        unscaled = self.codes | self.fixed
        scanned, ahead = (
            Signal(range(params.max_blocks + 1), name=n) for n in ("scanned", "ahead")
        )
        # The first block is asked for before the scan: a memory's word is registered at once.
        m.d.comb += block_sums.block.eq(ahead)
        summed = block_scale.sums
        if params.shared > 1:
            m.submodules.shared = shared = SharedSums(params.shared)
            connect(m, shared.means, block_scale.sums)
            summed = shared.sums
            m.d.sync += shared.last.eq(scanned + 1 == blocks)
        m.d.sync += [summed.p.eq(block_sums.sums), summed.valid.eq(scan)]

        # Two cycles from a position to its element: the memories, then a register.
        encoding = Signal(2)
        row = Signal(range(BLOCK))
        ends = Signal()
        quantized = quotient.elements
        place = quantized.p.place
        with m.If(go):
            m.d.sync += [
                encoding.eq(Cat(encode, encoding)),
                row.eq(position % BLOCK),
                ends.eq(final | (position % BLOCK == BLOCK - 1)),
                quantized.p.value.eq(buffer.element),
                quantized.p.exponent.eq(Mux(unscaled, UNIT_SCALE >> 2, scales.exponent)),
                place.row.eq(row),
                place.last.eq(ends),
                place.mantissa.eq(Mux(unscaled, UNIT_SCALE & 3, scales.mantissa)),
                place.shift.eq(Mux(unscaled, 0, scales.shift)),
            ]
        m.d.comb += quantized.valid.eq(encoding[-1])

        with m.FSM():
            with m.State("idle"):
                m.d.comb += [buffer.first.eq(1), scan.eq(self.start & ~unscaled)]
                m.d.comb += block_sums.block.eq(scan)
                m.d.sync += [position.eq(0), scanned.eq(scan), ahead.eq(2)]
                with m.If(self.start):
                    m.d.sync += self.encoded.eq(0)
                    with m.If(unscaled):
                        m.next = "encode"
                    with m.Else():
                        m.next = "scan"
            with m.State("scan"):
                m.d.comb += [buffer.first.eq(1), scan.eq(scanned != blocks)]
                m.d.sync += [scanned.eq(scanned + scan), ahead.eq(ahead + 1)]
                with m.If(scales.received == blocks):
                    m.next = "encode"
            with m.State("encode"):
                m.d.comb += encode.eq(1)
                m.d.sync += position.eq(position + go)
                with m.If(final & go):
                    m.next = "drain"
            with m.State("drain"):
                with m.If(memory.completed == blocks):
                    m.d.sync += self.encoded.eq(1)
                    m.next = "idle"
        return m

    def _fire_in_rows(self, m, split, memory, events, go):
        """Store what is not silent as it comes."""
        code, fired = split.p.code, memory.fired
        m.d.comb += [
            fired.p.row.eq(code.place.row),
            fired.p.code.eq(code.level),
            fired.valid.eq(split.valid & ~code.silent),
            memory.complete.eq(memory.header.valid),
        ]
        connect(m, events, flipped(self.events))

    def _fire_in_time(self, m, split, memory, events, go):
        """Sort before the event memory, schedule behind it."""
        m.submodules.sorter = sorter = EventSorter()
        m.submodules.scheduler = scheduler = Scheduler(self.params)
        connect(m, sorter.fired, memory.fired)
        connect(m, events, scheduler.events)
        connect(m, scheduler.items, flipped(self.events))
        m.d.comb += [
            sorter.split.payload.eq(split.payload),
            sorter.split.valid.eq(split.valid),
            go.eq(~split.valid | sorter.split.ready),
            memory.complete.eq(sorter.complete),
        ]
