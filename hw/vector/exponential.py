"""Unnormalized probabilities of scores (``docs/arithmetic.md`` §9)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from hw.memory import BLOCK
from hw.register import plain_register
from hw.spec.luts import EXP2
from hw.vector.beat import LONGEST, WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.reduction import reduce, reduction_stages

#: Fraction bits of a score, in units of log2.
FRACTION = exact_log2(len(EXP2))

PROBABILITY_BITS = 16
SUM_BITS = PROBABILITY_BITS + ceil_log2(LONGEST)

#: Cycles from a beat of scores to its probabilities.
LATENCY = 4


def model(scores: Sequence[int]) -> tuple[list[int], int]:
    """Probabilities of a row of scores.

    Parameters
    ----------
    scores : sequence of int
        24-bit scores of the tokens up to the query's position.

    Returns
    -------
    probabilities : list of int
        p_t, 16 bits.
    total : int
        Their sum Z.
    """
    below = [max(scores) - score for score in scores]
    probabilities = [EXP2[u & 255] >> min(u >> 8, 31) for u in below]
    return probabilities, sum(probabilities)


class Exponential(wiring.Component):
    """Powers of two of scores, relative to the row's greatest, a beat a cycle.

    Before it stands the buffer of a query head's scores, which the rescaling of the key matrix has
    filled, and whose greatest is known; behind it :class:`hw.vector.weight.Weight`. The sum scales
    the context in the end.

    Parameters
    ----------
    width : int
        Scores a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a row's last beat to its sum.

    Members
    -------
    scores : In(stream)
        Rows of 24-bit scores, at most 65,536; see :func:`hw.vector.beat.beat_layout`; always ready.
    maximum : In(signed(24))
        Greatest score of the row that comes.
    probabilities : Out(stream)
        Beats of 16-bit probabilities, ``LATENCY`` cycles later; must always be accepted.
    total : Out(stream)
        Sum Z of each row; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        self.latency = LATENCY + reduction_stages(width)
        scores = beat_layout(signed(WORD_BITS), width)
        probabilities = beat_layout(PROBABILITY_BITS, width)
        super().__init__(
            {
                "scores": In(stream.Signature(scores, always_ready=True)),
                "maximum": In(signed(WORD_BITS)),
                "probabilities": Out(stream.Signature(probabilities, always_ready=True)),
                "total": Out(stream.Signature(SUM_BITS, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Distance; table; register; shift; sum."""
        m = Module()
        m.submodules.table = table = Memory(
            shape=PROBABILITY_BITS, depth=len(EXP2), init=EXP2, attrs=BLOCK
        )
        tags = delay(m, self.scores, LATENCY)
        send(m, tags[-1], self.probabilities)

        probabilities, terms = plain_register(m, self.probabilities.p.elements), []
        for i in range(self.width):
            below = Signal(WORD_BITS + 1, name=f"below_{i}", reset_less=True)
            halvings = below[FRACTION:]
            # A block RAM is too slow for logic behind it; hence a register at once.
            looked_up = Signal(PROBABILITY_BITS, name=f"looked_up_{i}", reset_less=True)
            waiting = [
                Signal(range(PROBABILITY_BITS + 1), name=f"halvings_{i}_{n}", reset_less=True)
                for n in range(2)
            ]
            entry = table.read_port()
            probability = probabilities[i]
            m.d.comb += entry.addr.eq(below[:FRACTION])
            m.d.sync += [
                below.eq(self.maximum - self.scores.p.elements[i]),
                waiting[0].eq(Mux(halvings > PROBABILITY_BITS, PROBABILITY_BITS, halvings)),
                waiting[1].eq(Mux(tags[2].count > i, waiting[0], PROBABILITY_BITS)),
                looked_up.eq(entry.data),
                probability.eq(looked_up >> waiting[1]),
            ]
            terms.append(probability)

        total = Signal(SUM_BITS)
        m.d.comb += [
            self.total.valid.eq(reduce(m, terms, tags[-1], add, total)),
            self.total.payload.eq(total),
        ]
        return m
