"""Single accesses of the host link, and their way over AXI4-Lite."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi4_lite import AXI4LiteSignature
from hw.bus.window import WORD


def AccessSignature() -> wiring.Signature:  # noqa: N802 - reads as a signature
    """One 32-bit access after the other.

    Members
    -------
    valid : Out(1)
        An access is asked for; stands until it is taken.
    ready : In(1)
        It is taken.
    write : Out(1)
        It writes ``data``.
    address : Out(32)
        Byte address, a multiple of 4.
    data : Out(32)
        The word to write.
    answered : In(1)
        It is done; pulses, at the earliest in the cycle after it was taken.
    refused : In(1)
        It had no effect; with ``answered``.
    answer : In(32)
        The word that was read; with ``answered``.
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "ready": In(1),
            "write": Out(1),
            "address": Out(WORD),
            "data": Out(WORD),
            "answered": In(1),
            "refused": In(1),
            "answer": In(WORD),
        }
    )


class RegisterAccess(wiring.Component):
    """AXI4-Lite manager that makes one access at a time.

    Parameters
    ----------
    address_width : int
        Bits of the bus's byte addresses; an access beyond them is refused.

    Members
    -------
    access : In(AccessSignature)
        What is wanted.
    axi : Out(AXI4LiteSignature)
        The registers.
    """

    def __init__(self, *, address_width: int):
        self._address_width = address_width
        super().__init__(
            {
                "access": In(AccessSignature()),
                "axi": Out(AXI4LiteSignature(address_width)),
            }
        )

    def elaborate(self, platform):
        """Offer address and data; await the response."""
        m = Module()
        access, axi = self.access, self.axi
        m.d.comb += [axi.bready.eq(1), axi.rready.eq(1), axi.wstrb.eq(0b1111)]
        m.d.sync += access.answered.eq(0)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += access.ready.eq(1)
                m.d.sync += [
                    axi.awaddr.eq(access.address),
                    axi.araddr.eq(access.address),
                    axi.wdata.eq(access.data),
                ]
                with m.If(access.valid):
                    with m.If(access.address[self._address_width :].any()):
                        m.d.sync += [access.answered.eq(1), access.refused.eq(1)]
                        m.next = "told"
                    with m.Else():
                        m.d.sync += [
                            axi.awvalid.eq(access.write),
                            axi.wvalid.eq(access.write),
                            axi.arvalid.eq(~access.write),
                        ]
                        m.next = "wait"

            with m.State("wait"):
                for name in ("aw", "w", "ar"):
                    with m.If(getattr(axi, f"{name}ready")):
                        m.d.sync += getattr(axi, f"{name}valid").eq(0)
                with m.If(axi.bvalid | axi.rvalid):
                    m.d.sync += [
                        access.answered.eq(1),
                        access.answer.eq(axi.rdata),
                        access.refused.eq(
                            (axi.bvalid & axi.bresp[1]) | (axi.rvalid & axi.rresp[1])
                        ),
                    ]
                    m.next = "told"

            with m.State("told"):
                m.next = "idle"
        return m
