"""Turns accumulators into vector words (``docs/arithmetic.md`` §6)."""

from __future__ import annotations

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.vector import multiplier
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.multiplier import Multiplier
from hw.vector.word import LARGEST, LONGEST_SHIFT, saturate, saturated, shift

MULTIPLIER = unsigned(16)

#: Shifts beyond these change no result. So k needs no more bits, although the formulas of §6, §9
#: and §11 have no bound (row exponents have none): 23 bits to the left saturate all but 0, and more
#: than 62 to the right are taken for 62.
LEAST_SHIFT, MOST_SHIFT = 1 - WORD_BITS, LONGEST_SHIFT

#: Shape of k, -64..63, where what computes it saturates it, to this or to the bounds above.
SHIFT = signed(7)

#: Signed bits that rounding sees: a word, one bit that overflows and one below the point.
ROUNDED_BITS = WORD_BITS + 2

#: Bits of the shift's amount that each of three stages takes care of.
STAGES = ((5, 7), (3, 5), (0, 3))


def model(accumulator: int, multiplier: int, k: int) -> int:
    """Rescale one accumulator.

    Parameters
    ----------
    accumulator : int
        Signed, ``accumulator_width`` bits.
    multiplier : int
        0..65535.
    k : int
        Shift to the right, of any size.

    Returns
    -------
    int
        Vector word.
    """
    return saturate(shift(accumulator * multiplier, max(k, LEAST_SHIFT)))


def accumulator_layout(params: CoreParams, k: Shape = SHIFT) -> data.StructLayout:
    """Return the layout of an accumulator, the ``multiplier`` of its vector, and its shift ``k``.

    Shifts differ within a vector: row exponents are part of them, or those of keys.
    """
    accumulator = signed(params.accumulator_width)
    return data.StructLayout({"accumulator": accumulator, "multiplier": MULTIPLIER, "k": k})


def latency(params: CoreParams) -> int:
    """Cycles from accumulators to words that need not wait: 8 for 36 to 69 bits."""
    return multiplier.latency(signed(params.accumulator_width), MULTIPLIER) + len(STAGES) + 2


class Rescale(wiring.Component):
    """Multiplies accumulators, shifts them to the right with rounding and saturates them.

    Before it stands the output buffer of the tile engine; behind it the buffers of q, k and v, of
    gate and up, of scores or of the context, or, for logits, :class:`hw.vector.best.Best`. The
    results of output and down matrices go through :class:`hw.vector.residual.Residual` instead.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    width : int
        Elements a cycle, at least 1.
    k : Shape
        Of the shifts, signed, at least 7 bits.

    Members
    -------
    accumulators : In(stream)
        Beats of :func:`accumulator_layout`, see :func:`hw.vector.beat.beat_layout`. All wait
        while words wait.
    words : Out(stream)
        Beats of words, :func:`latency` cycles later.
    """

    def __init__(self, *, params: CoreParams, width: int = WIDTH, k: Shape = SHIFT):
        self.params, self.width = params, width
        accumulators = beat_layout(accumulator_layout(params, k), width)
        words = beat_layout(signed(WORD_BITS), width)
        super().__init__(
            {
                "accumulators": In(stream.Signature(accumulators)),
                "words": Out(stream.Signature(words)),
            }
        )

    def elaborate(self, platform):
        """Product, and what is shifted by; three stages of the shift; rounding; saturation."""
        m = Module()
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.words.valid | self.words.ready),
            self.accumulators.ready.eq(advance),
        ]
        send(m, delay(m, self.accumulators, latency(self.params))[-1], self.words)
        accumulator = signed(self.params.accumulator_width)
        cycles = multiplier.latency(accumulator, MULTIPLIER)
        for i in range(self.width):
            m.submodules[f"product_{i}"] = product = Multiplier(a=accumulator, b=MULTIPLIER)
            element = self.accumulators.p.elements[i]
            amounts = [
                Signal(
                    range(MOST_SHIFT - LEAST_SHIFT + 1), name=f"amount_{i}_{cycle}", reset_less=True
                )
                for cycle in range(cycles + len(STAGES) - 2)
            ]
            # The product takes long enough to saturate k in two cycles.
            amount, limits = Signal.like(amounts[0]), Signal(2, name=f"limits_{i}", reset_less=True)
            m.d.comb += [product.a.eq(element.accumulator), product.b.eq(element.multiplier)]
            m.d.sync += [
                amount.eq(element.k - LEAST_SHIFT),
                limits.eq(Cat(element.k < LEAST_SHIFT, element.k > MOST_SHIFT)),
                amounts[0].eq(Mux(limits[0], 0, Mux(limits[1], MOST_SHIFT - LEAST_SHIFT, amount))),
                *(after.eq(before) for before, after in zip(amounts, amounts[1:], strict=False)),
            ]
            word = self._word(m, i, product.product, amounts[cycles - 2 :])
            m.d.comb += self.words.p.elements[i].eq(word)
        return EnableInserter(advance)(m)

    def _word(self, m: Module, i: int, product: Value, amounts: list[Signal]) -> Signal:
        """Shift right, by an amount, what stands as far left as may be needed, and one bit more."""
        value, beyond, negative = product << (1 - LEAST_SHIFT), 0, product[-1]
        for stage, ((low, high), amount) in enumerate(zip(STAGES, amounts, strict=True)):
            shifted = value >> (amount & ((1 << high) - (1 << low)))
            # Bits that the shifts to come cannot bring down to the word only tell an overflow.
            width = ROUNDED_BITS + (1 << low) - 1
            cut = shifted[width - 1 :]
            value = Signal(signed(width), name=f"shifted_{i}_{stage}", reset_less=True)
            flags = Signal(2, name=f"flags_{i}_{stage}", reset_less=True)
            m.d.sync += [
                value.eq(shifted),
                flags[0].eq(beyond | (cut.any() & ~cut.all())),
                flags[1].eq(negative),
            ]
            beyond, negative = flags
        flags = Signal(2, name=f"flags_{i}", reset_less=True)
        whole = Signal(signed(ROUNDED_BITS), name=f"whole_{i}", reset_less=True)
        word = Signal(signed(WORD_BITS), name=f"word_{i}", reset_less=True)
        m.d.sync += [
            whole.eq((value + 1) >> 1),
            flags[0].eq(beyond),
            flags[1].eq(negative),
            word.eq(Mux(flags[0], Mux(flags[1], -LARGEST, LARGEST), saturated(whole))),
        ]
        return word
