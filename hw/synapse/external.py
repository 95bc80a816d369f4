"""Synapse array outside: rows that fire come over AXI4, ahead of the lanes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.axi4 import INCR, NORMAL, AXI4ReadSignature
from hw.bus.forget import forget, forgetful
from hw.encode.classifier import code_layout
from hw.spec.params import CoreParams
from hw.synapse.fetch import Fetcher, burst_layout
from hw.synapse.gearbox import Gearbox
from hw.synapse.port import HEAD_PLACES, ReadSignature
from hw.synapse.ring import Ring
from hw.synapse.row_masks import RowMasks


def axi_signature(params: CoreParams) -> wiring.Signature:
    """AXI4 port of a core."""
    return AXI4ReadSignature(
        data_width=params.axi_data_width,
        address_width=params.axi_address_width,
        id_width=params.axi_id_width,
    )


class ExternalMemory(wiring.Component):
    """Fetches groups into a ring while the vector is still encoded and while others are read.

    All bursts have one id, so their data come in order. After an error response or an abort
    nothing more is asked for, and what was asked for is awaited and dropped: the bus must not see
    a burst vanish. Only then may the next instruction start.

    All but the address channel and the gearbox behind the data channel thinks in the core's beats,
    be the bus narrower or wider. An error of any of a beat's parts is one of the beat.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    domain : str
        Clock domain of ``draining``; see :func:`hw.bus.forget.forget`.

    Attributes
    ----------
    encode : In(1)
        A vector begins to be encoded; pulses, not while ``draining``.
    encoding, joins, bank : In(1)
        It is being encoded, and where its rows are marked; see
        :class:`hw.synapse.row_masks.RowMasks`.
    start : In(1)
        A multiplication begins; pulses, at the earliest with its last vector's ``encode``, not
        while ``draining``.
    source : In(1)
        Bank of its marks; as stable as ``tiles``.
    abort : In(1)
        Forget all that runs.
    tiles, blocks, weight_base, head_beats
        See :class:`hw.synapse.fetch.Fetcher`.
    classified : In(stream)
        Codes of the vector; see :func:`hw.encode.classifier.code_layout`; always ready.
    read : In(ReadSignature)
        The core's reads.
    axi : Out(AXI4ReadSignature)
        The memory.
    draining : Out(1)
        Data of a forgotten instruction are awaited.
    failed : Out(1)
        The instruction has met an error response, and its data have been awaited; pulses.
    error : Out(1)
        The last instruction ended so.
    rows_read, beats_read, beats_hole : Out(32)
        Counters of the fetcher.
    """

    #: What a variant of the memory may replace.
    fetcher = Fetcher

    def __init__(self, params: CoreParams, *, domain: str = "sync"):
        self._params, self._domain = params, domain
        super().__init__(
            {
                **dict.fromkeys(("encode", "encoding", "joins", "bank"), In(1)),
                **dict.fromkeys(("start", "source", "abort"), In(1)),
                "tiles": In(16),
                "blocks": In(range(params.max_blocks + 1)),
                "weight_base": In(range(params.memory_beats)),
                "head_beats": In(range(HEAD_PLACES + 1)),
                "classified": In(stream.Signature(code_layout(), always_ready=True)),
                "read": In(ReadSignature(params)),
                "axi": Out(axi_signature(params)),
                "draining": Out(1),
                "failed": Out(1),
                "error": Out(1),
                "rows_read": Out(32),
                "beats_read": Out(32),
                "beats_hole": Out(32),
            }
        )

    def elaborate(self, platform):
        """Join masks, fetcher, bus and ring."""
        m = Module()
        params = self._params
        m.submodules.masks = masks = RowMasks(params)
        fetcher, ring = self.fetcher(params), Ring(params)
        m.submodules.fetcher = forgetful(fetcher, self.draining, self._domain)
        m.submodules.ring = forgetful(ring, self.draining | self.start, self._domain)
        connect(m, flipped(self.classified), masks.classified)
        connect(m, flipped(self.read), ring.read)
        m.d.comb += [
            masks.clear.eq(self.encode),
            masks.filling.eq(self.encoding),
            *(getattr(masks, name).eq(getattr(self, name)) for name in ("joins", "bank", "source")),
            masks.block.eq(fetcher.block),
            fetcher.known.eq(masks.known),
            fetcher.mask.eq(masks.mask),
            fetcher.free.eq(ring.free),
            ring.claim.eq(fetcher.claim),
            fetcher.start.eq(self.start),
            *(
                getattr(fetcher, name).eq(getattr(self, name))
                for name in ("tiles", "blocks", "weight_base", "head_beats")
            ),
            *(
                getattr(self, name).eq(getattr(fetcher, name))
                for name in ("rows_read", "beats_read", "beats_hole")
            ),
        ]
        width = burst_layout(params)["place"].width + 2
        m.submodules.waiting = waiting = SyncFIFO(width=width, depth=params.outstanding)
        self._ask(m, fetcher.bursts, waiting)
        refused = self._receive(m, ring, waiting)
        self._drain(m, waiting, refused)
        return m

    def _ask(self, m, bursts, waiting):
        """Offer addresses as long as ``outstanding`` allows; an offer stands until it is taken."""
        axi = self.axi
        core_size, bus_size = (
            (bits // 8).bit_length() - 1
            for bits in (self._params.beat_bits, self._params.axi_data_width)
        )
        m.d.comb += [
            axi.arsize.eq(bus_size),
            axi.arburst.eq(INCR),
            axi.arcache.eq(NORMAL),
            bursts.ready.eq((axi.arready | ~axi.arvalid) & waiting.w_rdy & ~self.draining),
            waiting.w_en.eq(bursts.valid & bursts.ready),
            waiting.w_data.eq(Cat(bursts.p.place, bursts.p.last, bursts.p.beats == 0)),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(bursts.valid & bursts.ready):
            m.d.sync += [
                axi.arvalid.eq(bursts.p.beats != 0),
                axi.araddr.eq(bursts.p.address << core_size),
                axi.arlen.eq((bursts.p.beats << core_size >> bus_size) - 1),
            ]

    def _receive(self, m, ring, waiting):
        """Put beats where their burst belongs; a burst without beats only ends its group.

        Returns whether a beat with an error is taken.
        """
        axi, params = self.axi, self._params
        m.submodules.gearbox = gearbox = Gearbox(
            source=params.axi_data_width, target=params.beat_bits
        )
        bus, beats = gearbox.source, gearbox.target
        first, last, void = waiting.r_data[:-2], waiting.r_data[-2], waiting.r_data[-1]
        place = Signal.like(first)  # beats of the burst that have come
        beat = first + place
        heads = self.head_beats * params.sub_tiles
        head = beat < heads
        taken, ends, refused = Signal(), Signal(), Signal()
        m.d.comb += [
            axi.rready.eq(bus.ready),
            bus.valid.eq(axi.rvalid),
            bus.p.data.eq(axi.rdata),
            bus.p.error.eq(axi.rresp[1]),
            bus.p.last.eq(axi.rlast),
            beats.ready.eq(waiting.r_rdy & ~void),
            taken.eq(beats.valid & beats.ready),
            refused.eq(taken & beats.p.error),
            ends.eq((taken & beats.p.last) | (waiting.r_rdy & void)),
            waiting.r_en.eq(ends),
        ]
        m.d.sync += [
            ring.write.eq(taken),
            ring.head.eq(head),
            ring.place.eq(Mux(head, beat, beat - heads)),
            ring.data.eq(beats.p.data),
            ring.complete.eq(ends & last & ~refused),
        ]
        with m.If(taken):
            m.d.sync += place.eq(place + 1)
            with m.If(beats.p.last):
                m.d.sync += place.eq(0)
        return refused

    def _drain(self, m, waiting, refused):
        """Forget an instruction that met an error or is aborted, when its data have come."""
        quiet = ~self.axi.arvalid & ~waiting.r_rdy
        forget(m, self, refused=refused, quiet=quiet, domain=self._domain)
        with m.If(self.failed):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.start | self.encode):
            m.d.sync += self.error.eq(0)
        with m.If(self.abort):
            m.d.sync += self.error.eq(0)
