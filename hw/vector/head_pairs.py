"""Addresses of the pairs that a rotary embedding turns (``docs/program.md``, ROTATE)."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.layout import instruction_layout
from hw.vector.memory import ADDRESS_BITS


def model(a: int, *, heads: int, inner: int, interleaved: bool) -> Iterator[tuple[int, int, int]]:
    """Yield the word addresses of every pair's two words, and the pair's place in its head."""
    for head in range(a, a + heads * 2 * inner, 2 * inner):
        for place in range(inner):
            if interleaved:
                yield head + 2 * place, head + 2 * place + 1, place
            else:
                yield head + place, head + inner + place, place


class HeadPairs(wiring.Component):
    """Walks over the pairs of ``count`` heads, from the cycle after ``start``.

    By beats it goes over ``width`` pairs at once, the words of which fill two beats.

    Parameters
    ----------
    width : int
        Words of a beat.

    Members
    -------
    start : In(1)
        Go to the first pair.
    instruction : In
        ROTATE; stable from the cycle before ``start`` on.
    count : In(16)
        Heads, as stable.
    by_beats : In(1)
        Go by beats; as stable. Heads must begin with a beat, and ``inner`` be a multiple of
        ``width``.
    step : In(1)
        Go to the next pair, or beat of pairs.
    first, second : Out(16)
        Word addresses of the pair, or of the beats.
    place : Out(16)
        Number of the pair, or of the first one, in its head.
    last : Out(1)
        Nothing comes after it.
    """

    def __init__(self, *, width: int):
        self.width = width
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "count": In(16),
                "by_beats": In(1),
                "step": In(1),
                **dict.fromkeys(("first", "second", "place"), Out(ADDRESS_BITS)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        """Two addresses that run on side by side; where a head ends they pass over its half."""
        m = Module()
        instruction = self.instruction
        # Where pairs are neighbours they stand 2 apart; else a step over a half is one longer.
        pairs = Mux(self.by_beats, self.width, 1)
        distance, stride = Signal(ADDRESS_BITS), Signal(range(2 * self.width + 1))
        jump = Signal(ADDRESS_BITS)
        # Registers, as they follow from an instruction that reaches far.
        m.d.sync += [
            distance.eq(Mux(instruction.interleaved, pairs, instruction.inner)),
            stride.eq(Mux(instruction.interleaved, pairs << 1, pairs)),
            jump.eq(Mux(instruction.interleaved, pairs << 1, instruction.inner + pairs)),
        ]

        before_final, heads = Signal.like(self.place), Signal.like(self.count)
        single, ends = Signal(), Signal()  # a head has, or this is, one place
        m.d.sync += [
            before_final.eq(instruction.inner - (pairs << 1)),
            single.eq(instruction.inner == pairs),
        ]
        m.d.comb += self.last.eq(ends & (heads == 1))
        with m.If(self.start):
            m.d.sync += [
                self.first.eq(instruction.a),
                self.second.eq(instruction.a + distance),
                self.place.eq(0),
                ends.eq(single),
                heads.eq(self.count),
            ]
        with m.Elif(self.step):
            by = Mux(ends, jump, stride)
            m.d.sync += [
                self.first.eq(self.first + by),
                self.second.eq(self.second + by),
                self.place.eq(Mux(ends, 0, self.place + pairs)),
                ends.eq(Mux(ends, single, self.place == before_final)),
            ]
            with m.If(ends):
                m.d.sync += heads.eq(heads - 1)
        return m
