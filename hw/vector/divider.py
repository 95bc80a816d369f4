"""Divides unsigned integers, one bit of the quotient a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def model(dividend: int, divisor: int) -> int:
    """Quotient, rounded down."""
    return dividend // divisor


class Divider(wiring.Component):
    """Restoring division with one subtractor.

    Parameters
    ----------
    dividend_bits, divisor_bits : int
        Bits of the operands.
    quotient_bits : int
        Bits of the largest quotient, 1 to ``dividend_bits``: as many cycles it takes. A quotient
        that does not fit, as that of a division by 0, comes out wrong but as soon.

    Attributes
    ----------
    latency : int
        Cycles from the operands to the quotient.

    Members
    -------
    operands : In(stream)
        ``dividend`` and ``divisor``; waits while a quotient is made or not yet taken.
    quotient : Out(stream)
        Quotients, rounded down.
    """

    def __init__(self, *, dividend_bits: int, divisor_bits: int, quotient_bits: int):
        if not 1 <= quotient_bits <= dividend_bits:
            raise ValueError(
                f"quotient_bits must be 1 to the dividend's {dividend_bits}, not {quotient_bits}; "
                "count the bits of the largest quotient"
            )
        if divisor_bits < 1:
            raise ValueError(
                f"divisor_bits must be at least 1, not {divisor_bits}; "
                "count the bits of the largest divisor"
            )
        self.latency = quotient_bits + 1
        operands = data.StructLayout({"dividend": dividend_bits, "divisor": divisor_bits})
        super().__init__(
            {
                "operands": In(stream.Signature(operands)),
                "quotient": Out(stream.Signature(quotient_bits)),
            }
        )

    def elaborate(self, platform):
        """Shift the dividend through the remainder; quotient bits take the place it leaves."""
        m = Module()
        dividend, divisor = self.operands.p.dividend, Signal.like(self.operands.p.divisor)
        remainder = Signal(max(len(divisor), len(dividend) - len(self.quotient.payload)))
        quotient = self.quotient.payload
        remaining = Signal(range(self.latency))

        grown = Cat(quotient[-1], remainder)
        difference = Signal(len(grown) + 1)
        m.d.comb += difference.eq(grown - divisor)
        fits = ~difference[-1]
        idle = (remaining == 0) & ~self.quotient.valid
        m.d.comb += self.operands.ready.eq(idle)
        with m.If(self.quotient.valid & self.quotient.ready):
            m.d.sync += self.quotient.valid.eq(0)
        with m.If(self.operands.valid & idle):
            m.d.sync += [
                Cat(quotient, remainder).eq(dividend),
                divisor.eq(self.operands.p.divisor),
                remaining.eq(len(quotient)),
            ]
        with m.Elif(remaining != 0):
            m.d.sync += [
                remainder.eq(Mux(fits, difference, grown)),
                quotient.eq(Cat(fits, quotient)),
                remaining.eq(remaining - 1),
                self.quotient.valid.eq(remaining == 1),
            ]
        return m
