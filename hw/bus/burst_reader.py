"""AXI4 bursts into a small buffer: only what there is room for is asked for."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.bus.axi4 import INCR, NORMAL
from hw.bus.forget import forget, forgetful
from hw.spec.params import CoreParams
from hw.synapse.external import axi_signature


class BurstReader(wiring.Component):
    """Reads bursts; beats leave in order, and the data channel never has to wait.

    A beat with an error response, once it is the next to leave, and an abort end all: nothing more
    is asked for, and what was asked for is awaited and dropped, as the bus must not see a burst
    vanish. Beats leave no more, from the cycle after an abort on.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    longest : int
        Most beats of a burst, 1..256.
    depth : int
        Beats that are kept or on their way, at least ``longest``.
    domain : str
        Clock domain of ``draining``; see :func:`hw.bus.forget.forget`.

    Members
    -------
    bursts : In(stream)
        Byte address, a multiple of a beat's bytes, and ``length``, the beats behind the first.
        Who offers them keeps to AXI's boundary.
    beats : Out(stream)
        Data, and whether the burst ends.
    abort : In(1)
        Forget all bursts.
    draining : Out(1)
        Data of forgotten bursts are awaited; no burst is taken.
    failed : Out(1)
        An error response was met, and all data have been awaited; pulses.
    axi : Out(AXI4ReadSignature)
        The memory.

    Raises
    ------
    ValueError
        If a burst does not fit the buffer.
    """

    def __init__(self, params: CoreParams, *, longest: int, depth: int, domain: str = "sync"):
        if not 1 <= longest <= depth:
            raise ValueError(
                f"depth must hold the longest burst of {longest} beats, not {depth}; raise it"
            )
        self._params, self._depth, self._domain = params, depth, domain
        width = params.axi_data_width
        burst = data.StructLayout({"address": params.axi_address_width, "length": range(longest)})
        super().__init__(
            {
                "bursts": In(stream.Signature(burst)),
                "beats": Out(stream.Signature(data.StructLayout({"data": width, "last": 1}))),
                "abort": In(1),
                "draining": Out(1),
                "failed": Out(1),
                "axi": Out(axi_signature(params)),
            }
        )

    def elaborate(self, platform):
        """Ask while there is room; keep what comes; drain."""
        m = Module()
        axi, depth = self.axi, self._depth
        # One place is its output register, which a beat reaches a cycle too late to count on it.
        kept = SyncFIFOBuffered(width=self._params.axi_data_width + 2, depth=depth + 1)
        m.submodules.kept = forgetful(kept, self.draining, self._domain)
        error, refused = kept.r_data[-1], Signal()
        m.d.comb += [
            axi.rready.eq(1),
            kept.w_en.eq(axi.rvalid),  # a reset while it drains forgets it
            kept.w_data.eq(Cat(axi.rdata, axi.rlast, axi.rresp[1])),
            refused.eq(kept.r_rdy & error),
            self.beats.valid.eq(kept.r_rdy & ~error & ~self.draining),
            self.beats.p.eq(kept.r_data[:-1]),
            kept.r_en.eq(self.beats.valid & self.beats.ready),
        ]
        coming = self._ask(m, kept.r_en)

        forget(m, self, refused=refused, quiet=coming == 0, domain=self._domain)
        return m

    def _ask(self, m, freed):
        """Offer addresses; an offer stands until it is taken. Return how many beats must come."""
        axi, bursts = self.axi, self.bursts
        room = Signal(range(self._depth + 1), init=self._depth)
        coming = Signal.like(room, init=0)
        asked = Signal.like(room)  # beats of the burst that is taken, if one is
        fits = (axi.arready | ~axi.arvalid) & (room > bursts.p.length)
        m.d.comb += [
            axi.arsize.eq((self._params.axi_data_width // 8).bit_length() - 1),
            axi.arburst.eq(INCR),
            axi.arcache.eq(NORMAL),
            bursts.ready.eq(fits & ~self.draining),
            asked.eq(Mux(bursts.valid & fits, bursts.p.length + 1, 0)),
        ]
        m.d.sync += [
            room.eq(room + freed - asked),
            coming.eq(coming + asked - axi.rvalid),
        ]
        with m.If(self.draining):
            m.d.sync += [room.eq(self._depth), coming.eq(coming - axi.rvalid)]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(bursts.valid & bursts.ready):
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(bursts.p.address),
                axi.arlen.eq(bursts.p.length),
            ]
        return coming
