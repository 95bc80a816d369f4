"""Writes single bytes to device memory: what KEEP appends to the caches."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi4 import INCR, NORMAL, AXI4WriteSignature
from hw.bus.forget import forget
from hw.spec.axi4 import WRITES
from hw.spec.params import CoreParams


def octet_layout() -> data.StructLayout:
    """Return the layout of a byte and its address."""
    return data.StructLayout({"address": 32, "octet": 8})


def write_signature(params: CoreParams) -> wiring.Signature:
    """AXI4 write port of a core."""
    return AXI4WriteSignature(
        data_width=params.axi_data_width,
        address_width=params.axi_address_width,
        id_width=params.axi_id_width,
    )


class Storer(wiring.Component):
    """Writes a byte a cycle, each with a strobe of its own, in order.

    After an error response or an abort no byte is taken until all that were have their response.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    octets : In(stream)
        See :func:`octet_layout`.
    stored : Out(1)
        Every byte that was taken is in memory; low from the cycle after a byte is taken.
    abort : In(1)
        Forget what was written.
    draining : Out(1)
        Responses to forgotten writes are awaited.
    failed : Out(1)
        A write met an error response, and all responses have come; pulses, before ``stored`` rises.
    axi : Out(AXI4WriteSignature)
        Device memory.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "octets": In(stream.Signature(octet_layout())),
                "stored": Out(1, init=1),
                "abort": In(1),
                "draining": Out(1),
                "failed": Out(1),
                "axi": Out(write_signature(params)),
            }
        )

    def elaborate(self, platform):
        """Offer address and data until each is taken; count what waits for its response."""
        m = Module()
        axi, octets = self.axi, self.octets
        octets_per_beat = self._params.axi_data_width // 8
        low = octets_per_beat.bit_length() - 1
        waiting, taken = Signal(range(WRITES + 1)), Signal()
        m.d.comb += [
            axi.awsize.eq(low),
            axi.awburst.eq(INCR),
            axi.awcache.eq(NORMAL),
            axi.wlast.eq(1),
            axi.bready.eq(1),
            octets.ready.eq(
                (axi.awready | ~axi.awvalid)
                & (axi.wready | ~axi.wvalid)
                & (waiting != WRITES)
                & ~self.draining
            ),
            taken.eq(octets.valid & octets.ready),
            self.stored.eq((waiting == 0) & ~self.draining),
        ]
        m.d.sync += waiting.eq(waiting + taken - axi.bvalid)
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(axi.wready):
            m.d.sync += axi.wvalid.eq(0)
        with m.If(taken):
            m.d.sync += [
                axi.awvalid.eq(1),
                axi.awaddr.eq(octets.p.address[low:] << low),
                axi.wvalid.eq(1),
                axi.wdata.eq(octets.p.octet.replicate(octets_per_beat)),
                axi.wstrb.eq(1 << octets.p.address[:low]),
            ]

        forget(m, self, refused=axi.bvalid & axi.bresp[1], quiet=waiting == 0)
        return m
