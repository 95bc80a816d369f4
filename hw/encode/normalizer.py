"""Shifts a number left until its top bit is set, and counts the shifts."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2


def model(value: int, width: int) -> tuple[int, int]:
    """Return the normalized number and its leading zeros; zero counts as ``width - 1`` zeros."""
    zeros = min(width - value.bit_length(), width - 1)
    return value << zeros, zeros


class Normalizer(wiring.Component):
    """Removes leading zeros, in falling powers of two, one power a pipeline stage.

    Parameters
    ----------
    width : int
        Bits of the number, a power of two. The result appears ``log2(width)`` cycles later.

    Members
    -------
    number : In(stream)
        Unsigned numbers; always ready.
    normalized : Out(stream)
        ``value`` with bit ``width - 1`` set (unless the number is 0) and the ``zeros`` removed;
        must always be accepted.
    """

    def __init__(self, width: int):
        self.width = width
        self.stages = exact_log2(width)
        layout = data.StructLayout({"value": width, "zeros": self.stages})
        super().__init__(
            {
                "number": In(stream.Signature(width, always_ready=True)),
                "normalized": Out(stream.Signature(layout, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """One stage per power of two, the greatest first."""
        m = Module()
        value, valid, zeros = self.number.payload, self.number.valid, Cat()
        for stage in reversed(range(self.stages)):
            power = 1 << stage
            empty = value[self.width - power :] == 0
            next_value = Signal(self.width, name=f"value_{stage}", reset_less=True)
            next_zeros = Signal(self.stages - stage, name=f"zeros_{stage}", reset_less=True)
            next_valid = Signal(name=f"valid_{stage}")
            m.d.sync += [
                next_value.eq(Mux(empty, value << power, value)),
                next_zeros.eq(Cat(empty, zeros)),
                next_valid.eq(valid),
            ]
            value, valid, zeros = next_value, next_valid, next_zeros
        m.d.comb += [
            self.normalized.p.value.eq(value),
            self.normalized.p.zeros.eq(zeros),
            self.normalized.valid.eq(valid),
        ]
        return m
