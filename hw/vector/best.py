"""Finds the largest logits (``docs/arithmetic.md`` §11)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.compare import above
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout

#: Most logits that are kept.
MOST_KEPT = 8

#: Below every word: what stands in places that no logit has taken.
NOTHING = -(1 << (WORD_BITS - 1))


def model(logits: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Return ids and logits of the ``count`` largest words, lower ids first among equals."""
    ids = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    return [(i, logits[i]) for i in ids[:count]]


def candidate_layout(vocabulary: int) -> data.StructLayout:
    """Return the layout of an ``id`` and its ``logit``."""
    return data.StructLayout({"id": range(vocabulary), "logit": signed(WORD_BITS)})


class Best(wiring.Component):
    """Keeps the largest logits, lower ids first among equals.

    Before it stands :class:`hw.vector.rescale.Rescale`, behind the head; behind it the choice of a
    token. A beat takes a cycle, or one for each of its logits that is above the least that is kept:
    few, but for the first beats.

    Parameters
    ----------
    vocabulary : int
        Most logits of a vector, at least 2.
    count : int
        Logits to keep, 1..8; 1 decodes greedily.
    width : int
        Logits a cycle, at least 1.

    Members
    -------
    logits : In(stream)
        Beats of words, see :func:`hw.vector.beat.beat_layout`, in the order of ids from 0.
    best : Out(stream)
        ``count`` of :func:`candidate_layout` for a vector, the largest first, 1 to ``width + 2``
        cycles after its last beat. The next vector waits until they are taken. With fewer logits
        than ``count`` the places left over have the logit ``NOTHING``.

    Raises
    ------
    ValueError
        For parameters out of their range.
    """

    def __init__(self, *, vocabulary: int, count: int = 1, width: int = WIDTH):
        if vocabulary < 2:
            raise ValueError(f"vocabulary must be at least 2 logits, not {vocabulary}")
        if not 1 <= count <= MOST_KEPT:
            raise ValueError(
                f"count must be 1..{MOST_KEPT} logits, not {count}; let the host choose among more"
            )
        self.vocabulary, self.count, self.width = vocabulary, count, width
        kept = data.ArrayLayout(candidate_layout(vocabulary), count)
        super().__init__(
            {
                "logits": In(stream.Signature(beat_layout(signed(WORD_BITS), width))),
                "best": Out(stream.Signature(kept)),
            }
        )

    def elaborate(self, platform):
        """Logits above the least that is kept; one of them after the other; sorted insertion."""
        m = Module()
        closing, waiting, candidate, valid = self._select(m)
        m.d.comb += self.best.valid.eq(closing & (waiting == 0) & ~valid)
        with m.If(self.best.valid & self.best.ready):
            m.d.sync += closing.eq(0)

        # Ids rise, so that among equals the one that is there stays.
        kept = Signal(self.best.p.shape(), init=[{"logit": NOTHING}] * self.count)
        m.d.comb += self.best.p.eq(kept)
        better = [above(candidate.logit, kept[i].logit) for i in range(self.count)]
        for i in range(self.count):
            with m.If(self.best.valid & self.best.ready):
                m.d.sync += [kept[i].id.eq(0), kept[i].logit.eq(NOTHING)]
            with m.Elif(valid & better[i]):
                m.d.sync += kept[i].eq(
                    Mux(better[i - 1], kept[i - 1], candidate) if i else candidate
                )
        return m

    def _select(self, m: Module) -> tuple[Signal, Signal, Signal, Signal]:
        """Hand over the logits of a beat that may be among the best, one a cycle.

        The least that is kept may rise meanwhile, so that some are handed over in vain.
        """
        beat = self.logits
        first, held_first = Signal(range(self.vocabulary)), Signal(range(self.vocabulary))
        held = Signal.like(beat.p.elements)
        waiting, rest = Signal(self.width), Signal(self.width)
        closing, valid = Signal(), Signal()
        candidate = Signal(candidate_layout(self.vocabulary))
        m.d.comb += [
            rest.eq(waiting & (waiting - 1)),
            beat.ready.eq(~closing & (rest == 0)),
        ]
        m.d.sync += [waiting.eq(rest), valid.eq(waiting != 0)]
        for i in reversed(range(self.width)):
            with m.If(waiting[i]):
                m.d.sync += [candidate.id.eq(held_first + i), candidate.logit.eq(held[i])]
        with m.If(beat.valid & beat.ready):
            m.d.sync += [
                held.eq(beat.p.elements),
                held_first.eq(first),
                first.eq(Mux(beat.p.last, 0, first + self.width)),
                closing.eq(beat.p.last),
            ]
            least = self.best.p[self.count - 1].logit
            for i in range(self.width):
                m.d.sync += waiting[i].eq((i < beat.p.count) & above(beat.p.elements[i], least))
        return closing, waiting, candidate, valid
