"""Rescales vectors of wide numbers and adds words to them (``docs/arithmetic.md`` §15)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.vector import rescale
from hw.vector.beat import WORD_BITS, beat_layout, delay
from hw.vector.memory import ADDRESS_BITS, WriteSignature, words_layout
from hw.vector.rescale import MULTIPLIER, SHIFT, Rescale
from hw.vector.word import saturate, saturated

#: Signed bits of a number: a sum of 65,536 words, or a word times a gain of 16 bits.
NUMBER_BITS = 40

#: Cycles from rescaled words to their write.
_ADDITION = 2


def model(
    numbers: Sequence[int], multiplier: int, k: int, addends: Sequence[int] | None = None
) -> list[int]:
    """Rescale numbers, and add words if there are any.

    Parameters
    ----------
    numbers : sequence of int
        40 bits each.
    multiplier : int
        0..65535.
    k : int
        Shift to the right, of any size.
    addends : sequence of int, optional
        Words.
    """
    words = [rescale.model(number, multiplier, k) for number in numbers]
    if addends is None:
        return words
    return [saturate(word + addend) for word, addend in zip(words, addends, strict=True)]


class ScaledWords(wiring.Component):
    """Takes a beat a cycle; writes beat behind beat to vector memory.

    Before it stand :class:`hw.vector.layer_norm.LayerNorm` and :class:`hw.vector.sum_rows.SumRows`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, target : In(1), In(16)
        The next beat that is written begins there; pulses.
    numbers : In(stream)
        Beats of 40-bit numbers, see :func:`hw.vector.beat.beat_layout`.
    multiplier, k : In(16), In(signed(7))
        Stable from a vector's first beat until its words are there.
    adds, addends : In(1), In(ArrayLayout)
        Words that are added to those that ``words`` shows.
    store : In(1)
        Words are written; may change while none are on their way.
    words : Out(stream)
        Rescaled beats, :func:`hw.vector.rescale.latency` cycles later; must always be accepted.
    write : Out(WriteSignature)
        Vector memory.
    done : Out(1)
        The last beat of a vector has been written; pulses.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        width = params.vector_width
        numbers, words = (beat_layout(signed(bits), width) for bits in (NUMBER_BITS, WORD_BITS))
        super().__init__(
            {
                "start": In(1),
                "target": In(ADDRESS_BITS),
                "numbers": In(stream.Signature(numbers, always_ready=True)),
                "multiplier": In(MULTIPLIER),
                "k": In(SHIFT),
                "adds": In(1),
                "addends": In(words_layout(params)),
                "store": In(1),
                "words": Out(stream.Signature(words, always_ready=True)),
                "write": Out(WriteSignature(params)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        """Rescaling; sum; saturation and write."""
        m = Module()
        width = self.params.vector_width
        m.submodules.rescale = rescaled = Rescale(params=self.params, width=width)
        numbers, given = self.numbers, rescaled.accumulators.p
        m.d.comb += [
            rescaled.accumulators.valid.eq(numbers.valid),
            given.count.eq(numbers.p.count),
            given.last.eq(numbers.p.last),
            rescaled.words.ready.eq(1),
            self.words.valid.eq(rescaled.words.valid),
            self.words.p.eq(rescaled.words.p),
        ]
        for element, number in zip(given.elements, numbers.p.elements, strict=True):
            m.d.comb += [
                element.accumulator.eq(number),
                element.multiplier.eq(self.multiplier),
                element.k.eq(self.k),
            ]
        address, stored = Signal(ADDRESS_BITS), Signal()
        tag = delay(m, rescaled.words, _ADDITION)[-1]
        m.d.comb += stored.eq(tag.valid & self.store)
        for i, word in enumerate(self.words.p.elements):
            total = Signal(signed(WORD_BITS + 1), name=f"total_{i}")
            summed = Signal(signed(WORD_BITS), name=f"summed_{i}")
            m.d.sync += [
                total.eq(word + Mux(self.adds, self.addends[i], 0)),
                summed.eq(saturated(total)),
            ]
            with m.If(stored):
                m.d.comb += self.write.words[i].eq(summed)
        with m.If(stored):
            m.d.comb += [self.write.address.eq(address), self.write.mask.eq((1 << tag.count) - 1)]
            m.d.sync += address.eq(address + width)
        with m.If(self.start):
            m.d.sync += address.eq(self.target)
        m.d.sync += self.done.eq(stored & tag.last)
        return m
