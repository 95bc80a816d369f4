"""Distance of an address that moves with token or position (``docs/program.md``)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.register import plain_register

#: Bits of an index: token ids are below 2^20.
INDEX_BITS = 20

ADDRESS_BITS = 32


def model(index: int, *, shift: int, stride_high: int, stride_low: int) -> int:
    """Bytes by which an index moves an origin, modulo 2^32."""
    high, low = index >> shift, index & ((1 << shift) - 1)
    return (high * stride_high + low * stride_low) % (1 << ADDRESS_BITS)


class Offset(wiring.Component):
    """Adds up the strides of an index's bits, one bit a cycle: no multiplier.

    Members
    -------
    start : In(1)
        Begin; pulses. What follows is taken over then.
    index : In(20)
        Token id or position.
    shift : In(5)
        Low bits of the index, which count by ``stride_low``.
    stride_high, stride_low : In(32), In(16)
        Bytes.
    offset : Out(32)
        The distance, right once ``busy`` is low.
    busy : Out(1)
        Bits of the index are left: at most 20 cycles, from the cycle after ``start`` on.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "index": In(INDEX_BITS),
                "shift": In(5),
                "stride_high": In(ADDRESS_BITS),
                "stride_low": In(16),
                "offset": Out(ADDRESS_BITS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        """Double the stride from bit to bit; the high one takes its place where it begins."""
        m = Module()
        bits = Signal(INDEX_BITS)
        left = Signal(5)  # low bits to come
        stride, high = (
            Signal(ADDRESS_BITS, name=name, reset_less=True) for name in ("stride", "high")
        )
        offset = plain_register(m, self.offset)
        m.d.comb += self.busy.eq(bits != 0)
        with m.If(self.start):
            m.d.sync += [
                bits.eq(self.index),
                left.eq(self.shift),
                stride.eq(Mux(self.shift == 0, self.stride_high, self.stride_low)),
                high.eq(self.stride_high),
                offset.eq(0),
            ]
        with m.Else():
            m.d.sync += [
                bits.eq(bits >> 1),
                left.eq(Mux(left == 0, 0, left - 1)),
                stride.eq(Mux(left == 1, high, stride << 1)),
                offset.eq(offset + Mux(bits[0], stride, 0)),
            ]
        return m
