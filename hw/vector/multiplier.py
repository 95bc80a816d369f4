"""Product of wide numbers from multipliers that an FPGA has."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

#: Magnitude bits of a multiplier's input: blocks of FPGAs multiply 18 bits, sign included.
PART_BITS = 17

#: Factors of so few bits are multiplied by logic, as blocks are scarce.
SMALL_BITS = 8


def latency(a: ShapeLike, b: ShapeLike) -> int:
    """Cycles from the factors to their product: one, and one a level of the tree of adders."""
    parts = [-(-_magnitude(Shape.cast(shape)) // PART_BITS) for shape in (a, b)]
    return 1 + ceil_log2(parts[0] * parts[1])


def addends(a: Value, b: Value) -> list[Value]:
    """Return what sums up to the product of two parts: of two small ones two terms, after Booth.

    Two bits of b and the one below choose 0, a, 2a or their negatives, so that half as many terms
    are added as b has bits; all negatives get their ones in a term of their own.
    """
    if max(len(a), len(b)) > SMALL_BITS:
        return [a * b]
    is_signed = [part.shape().signed for part in (a, b)]
    above = b[-1] if is_signed[1] else Const(0)
    bits = Cat(Const(0), b, above.replicate(2))
    once = a if is_signed[0] else Cat(a, Const(0)).as_signed()
    terms, ones = [], []
    for i in range(0, len(b) + (not is_signed[1]), 2):
        below, low, high = bits[i : i + 3]
        twice = (low == below) & (low != high)
        chosen = Mux(low ^ below, once, Mux(twice, once << 1, 0))
        terms.append((chosen ^ high.replicate(len(chosen)).as_signed()) << i)
        ones += [high, Const(0)]
    half = len(terms) // 2
    return [sum(terms[:half], Cat(ones)), sum(terms[half:])]


def times(a: Value, b: Value) -> Value:
    """Return the product of two parts."""
    return _product(addends(a, b), a, b)


class Multiplier(wiring.Component):
    """Multiplies one pair of numbers a cycle, in :func:`latency` cycles.

    Wide factors are cut into parts; their products are registered and summed in a tree, one adder
    a stage. Every vector component that multiplies stands on it.

    Parameters
    ----------
    a, b : Shape
        Of the factors.

    Members
    -------
    a, b : In
        Factors.
    product : Out
        Their product.
    """

    def __init__(self, *, a: ShapeLike, b: ShapeLike):
        a, b = Shape.cast(a), Shape.cast(b)
        product = Shape(a.width + b.width, a.signed or b.signed)
        super().__init__({"a": In(a), "b": In(b), "product": Out(product)})

    def elaborate(self, platform):
        """Partial products; levels of the tree."""
        m = Module()
        if len(_parts(self.a)) == len(_parts(self.b)) == 2:
            m.d.comb += self.product.eq(self._of_four(m))
            return m
        terms = []
        for a_offset, a in _parts(self.a):
            for b_offset, b in _parts(self.b):
                terms.append((a_offset + b_offset, _register(m, times(a, b))))
        while len(terms) > 1:
            pairs = zip(terms[0::2], terms[1::2], strict=False)
            odd = [(terms[-1][0], _register(m, terms[-1][1]))] if len(terms) % 2 else []
            terms = [_sum(m, *pair) for pair in pairs] + odd
        ((_, product),) = terms
        m.d.comb += self.product.eq(product)
        return m

    def _of_four(self, m: Module) -> Signal:
        """Put the lowest and the highest product side by side, where no sum is needed.

        So a small one, which logic makes, has time for two sums.
        """
        ((_, a_low), (offset, a_high)), ((_, b_low), (_, b_high)) = map(_parts, (self.a, self.b))
        low = _register(m, _register(m, a_low * b_low))
        middle = _register(m, _register(m, a_low * b_high) + _register(m, a_high * b_low))
        high = [_register(m, term) for term in addends(a_high, b_high)]
        high = _register(m, _product(high, a_high, b_high))
        outer = Cat(low, high)
        if high.shape().signed:
            outer = outer.as_signed()
        return _register(m, outer + (middle << offset))


def _magnitude(shape: Shape) -> int:
    return max(shape.width - shape.signed, 1)


def _parts(factor: Value) -> list[tuple[int, Value]]:
    """Cut a factor into unsigned parts with their offsets; the last has the factor's sign."""
    shape = factor.shape()
    offsets = range(0, _magnitude(shape), PART_BITS)
    parts = [(offset, factor[offset : offset + PART_BITS]) for offset in offsets[:-1]]
    top = factor[offsets[-1] :]
    return [*parts, (offsets[-1], top.as_signed() if shape.signed else top)]


def _product(terms: list[Value], a: Value, b: Value) -> Value:
    product = sum(terms)[: len(a) + len(b)]
    return product.as_signed() if a.shape().signed or b.shape().signed else product


def _register(m: Module, value: Value) -> Signal:
    register = Signal(value.shape(), reset_less=True)
    m.d.sync += register.eq(value)
    return register


def _sum(m: Module, one: tuple[int, Value], other: tuple[int, Value]) -> tuple[int, Value]:
    (low_offset, low), (high_offset, high) = sorted((one, other), key=lambda term: term[0])
    return low_offset, _register(m, low + (high << (high_offset - low_offset)))
