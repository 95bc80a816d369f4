"""Words of vector memory on their way to the rotary embedding."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.register import plain_register
from hw.spec.params import CoreParams
from hw.vector.beat import WORD_BITS, beat_layout
from hw.vector.memory import words_layout
from hw.vector.rotary import pair_layout, turn_layout


def rotary_lanes(params: CoreParams) -> int:
    """Pairs that are turned in a cycle: those of half the words of two beats."""
    return max(1, params.vector_width // 2)


class PairBeats(wiring.Component):
    """Makes pairs of two beats of words, and gives them in two halves.

    Before it stands vector memory, behind it :class:`hw.vector.rotary.Rotary`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    come : In(1)
        Words of pairs are read now, and their cosines and sines in the next cycle; not in two
        cycles behind each other.
    by_beats, interleaved : In(1)
        Two whole beats are, else a pair; pairs are neighbours, else each takes a word of either
        beat. Stable.
    a, b : In
        Beats that are read: first and second words, or of neighbours the first and second beat;
        then cosines and sines.
    single_a, single_b : In(signed(24))
        The words of theirs that a pair alone takes.
    pairs, turns : Out(stream)
        What is read, 2 cycles after ``come``: with ``last`` the second half, which a pair alone has
        not. Must always be accepted.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        lanes = rotary_lanes(params)
        pairs, turns = beat_layout(pair_layout(), lanes), beat_layout(turn_layout(), lanes)
        super().__init__(
            {
                **dict.fromkeys(("come", "by_beats", "interleaved"), In(1)),
                **dict.fromkeys(("a", "b"), In(words_layout(params))),
                **dict.fromkeys(("single_a", "single_b"), In(signed(WORD_BITS))),
                "pairs": Out(stream.Signature(pairs)),
                "turns": Out(stream.Signature(turns)),
            }
        )

    def elaborate(self, platform):
        """Words; turns, and the first half with them; the second half."""
        m = Module()
        pairs, turns = (plain_register(m, beats.p.elements) for beats in (self.pairs, self.turns))
        half = self.params.vector_width // 2
        first, second = (
            Signal.like(pairs, name=name, reset_less=True) for name in ("first", "second")
        )
        later = Signal.like(turns, reset_less=True)
        with m.If(self.come):
            for i in range(half):
                m.d.sync += [
                    *(first[i].a.eq(self.a[i]), first[i].b.eq(self.b[i])),
                    *(second[i].a.eq(self.a[half + i]), second[i].b.eq(self.b[half + i])),
                ]
                with m.If(self.interleaved):
                    m.d.sync += [
                        *(first[i].a.eq(self.a[2 * i]), first[i].b.eq(self.a[2 * i + 1])),
                        *(second[i].a.eq(self.b[2 * i]), second[i].b.eq(self.b[2 * i + 1])),
                    ]
            with m.If(~self.by_beats):
                m.d.sync += [first[0].a.eq(self.single_a), first[0].b.eq(self.single_b)]

        turns_come, gives_first, gives_second = (
            Signal(name=name) for name in ("turns_come", "gives_first", "gives_second")
        )
        m.d.sync += [
            turns_come.eq(self.come),
            gives_first.eq(turns_come),
            gives_second.eq(gives_first & self.by_beats),
        ]
        with m.If(turns_come):
            m.d.sync += pairs.eq(first)
            for i in range(half):
                m.d.sync += [
                    *(turns[i].cosine.eq(self.a[i]), turns[i].sine.eq(self.b[i])),
                    *(later[i].cosine.eq(self.a[half + i]), later[i].sine.eq(self.b[half + i])),
                ]
            with m.If(~self.by_beats):
                m.d.sync += [turns[0].cosine.eq(self.single_a), turns[0].sine.eq(self.single_b)]
        with m.Else():
            m.d.sync += [pairs.eq(second), turns.eq(later)]
        for beats in (self.pairs, self.turns):
            m.d.comb += [
                beats.valid.eq(gives_first | gives_second),
                beats.p.count.eq(rotary_lanes(self.params)),
                beats.p.last.eq(gives_second),
            ]
        return m
