"""Square root of an unsigned integer, one bit a cycle."""

from __future__ import annotations

import math

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


def model(number: int) -> int:
    """Square root, rounded down."""
    return math.isqrt(number)


class SquareRoot(wiring.Component):
    """Digit by digit, two bits of the number and one of its root a cycle.

    Parameters
    ----------
    root_bits : int
        Bits of the root, at least 2; the number has twice as many.

    Attributes
    ----------
    latency : int
        Cycles from a number to its root.

    Members
    -------
    number : In(stream)
        Numbers; waits while a root is made or not yet taken.
    root : Out(stream)
        Roots, rounded down.
    """

    def __init__(self, *, root_bits: int):
        if root_bits < 2:
            raise ValueError(
                f"root_bits must be at least 2, not {root_bits}; take half the number's bits"
            )
        self.latency = root_bits + 1
        super().__init__(
            {
                "number": In(stream.Signature(2 * root_bits)),
                "root": Out(stream.Signature(root_bits)),
            }
        )

    def elaborate(self, platform):
        """Subtract ``4 * root + 1`` from the remainder where it fits: then the next bit is 1."""
        m = Module()
        root = self.root.payload
        number = Signal.like(self.number.payload)
        remainder = Signal(len(root) + 1)  # at most twice the root
        remaining = Signal(range(self.latency))

        grown = Cat(number[-2:], remainder)
        difference = Signal(len(grown) + 1)
        m.d.comb += difference.eq(grown - Cat(Const(1, 2), root))
        fits = ~difference[-1]
        idle = (remaining == 0) & ~self.root.valid
        m.d.comb += self.number.ready.eq(idle)
        with m.If(self.root.valid & self.root.ready):
            m.d.sync += self.root.valid.eq(0)
        with m.If(self.number.valid & idle):
            m.d.sync += [
                number.eq(self.number.payload),
                remainder.eq(0),
                root.eq(0),
                remaining.eq(len(root)),
            ]
        with m.Elif(remaining != 0):
            m.d.sync += [
                number.eq(number << 2),
                remainder.eq(Mux(fits, difference, grown)),
                root.eq(Cat(fits, root)),
                remaining.eq(remaining - 1),
                self.root.valid.eq(remaining == 1),
            ]
        return m
