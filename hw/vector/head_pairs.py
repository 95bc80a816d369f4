"""Addresses of the pairs that a rotary embedding turns (``docs/program.md``, ROTATE)."""

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

    Members
    -------
    start : In(1)
        Go to the first pair.
    instruction : In
        ROTATE; stable from ``start`` on.
    count : In(16)
        Heads, as stable.
    step : In(1)
        Go to the next pair.
    first, second : Out(16)
        Word addresses of the pair.
    place : Out(16)
        Number of the pair in its head.
    last : Out(1)
        No pair comes after this one.
    """

    start: In(1)
    instruction: In(instruction_layout())
    count: In(16)
    step: In(1)
    first: Out(ADDRESS_BITS)
    second: Out(ADDRESS_BITS)
    place: Out(ADDRESS_BITS)
    last: Out(1)

    def elaborate(self, platform):
        """Two addresses that run on side by side; where a head ends they pass over its half."""
        m = Module()
        instruction = self.instruction
        # Where pairs are neighbours they stand 2 apart; else a step over a half is one longer.
        distance, stride, jump = Signal(ADDRESS_BITS), Signal(2), Signal(ADDRESS_BITS)
        m.d.comb += [
            distance.eq(Mux(instruction.interleaved, 1, instruction.inner)),
            stride.eq(Mux(instruction.interleaved, 2, 1)),
        ]
        m.d.sync += jump.eq(Mux(instruction.interleaved, 2, instruction.inner + 1))

        final_place, heads = Signal.like(self.place), Signal.like(self.count)
        m.d.sync += final_place.eq(instruction.inner - 1)
        ends = Signal()
        m.d.comb += [
            ends.eq(self.place == final_place),
            self.last.eq(ends & (heads == 1)),
        ]
        with m.If(self.start):
            m.d.sync += [
                self.first.eq(instruction.a),
                self.second.eq(instruction.a + distance),
                self.place.eq(0),
                heads.eq(self.count),
            ]
        with m.Elif(self.step):
            by = Mux(ends, jump, stride)
            m.d.sync += [
                self.first.eq(self.first + by),
                self.second.eq(self.second + by),
                self.place.eq(Mux(ends, 0, self.place + 1)),
            ]
            with m.If(ends):
                m.d.sync += heads.eq(heads - 1)
        return m
