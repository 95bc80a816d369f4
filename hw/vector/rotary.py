"""Rotary embedding of queries and keys (``docs/arithmetic.md`` §7)."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.vector import multiplier
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.multiplier import Multiplier
from hw.vector.word import rounded, saturate, saturated, shift

#: Shape of cosines and sines, and their fraction bits.
TURN = signed(16)
TURN_FRACTION = 14

_WORD = signed(WORD_BITS)

#: Cycles from a pair and its turn to the turned pair.
LATENCY = multiplier.latency(_WORD, TURN) + 3


def model(a: int, b: int, cosine: int, sine: int) -> tuple[int, int]:
    """Turn one pair.

    Parameters
    ----------
    a, b : int
        Words.
    cosine, sine : int
        Signed, 16 bits with 14 fraction bits.

    Returns
    -------
    tuple of int
        Words of the turned pair.
    """
    turned = a * cosine - b * sine, a * sine + b * cosine
    first, second = (saturate(shift(part, TURN_FRACTION)) for part in turned)
    return first, second


def pair_layout() -> data.StructLayout:
    """Return the layout of a pair of words, ``a`` and ``b``."""
    return data.StructLayout({"a": _WORD, "b": _WORD})


def turn_layout() -> data.StructLayout:
    """Return the layout of a ``cosine`` and ``sine``."""
    return data.StructLayout({"cosine": TURN, "sine": TURN})


class Rotary(wiring.Component):
    """Turns pairs, each by the angle of its place and of the token's position.

    Before it stand the buffer of q and k, whose order of reading tells what is a pair (neighbours,
    or elements half a head apart), and the table of the position, which is read anew for every
    head. Behind it stand the buffer of the query, and the coder of the key cache.

    Parameters
    ----------
    width : int
        Pairs a cycle, at least 1.

    Members
    -------
    pairs : In(stream)
        Beats of :func:`pair_layout`, see :func:`hw.vector.beat.beat_layout`. A beat waits for its
        turns.
    turns : In(stream)
        Beats of :func:`turn_layout`, as many and with the same ``count`` and ``last``. A beat waits
        for its pairs.
    turned : Out(stream)
        Beats of :func:`pair_layout`, ``LATENCY`` cycles later; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        pairs, turns = beat_layout(pair_layout(), width), beat_layout(turn_layout(), width)
        super().__init__(
            {
                "pairs": In(stream.Signature(pairs)),
                "turns": In(stream.Signature(turns)),
                "turned": Out(stream.Signature(pairs, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Products; difference and sum; rounding; saturation."""
        m = Module()
        m.d.comb += [
            self.pairs.ready.eq(self.turns.valid),
            self.turns.ready.eq(self.pairs.valid),
        ]
        send(m, delay(m, self.pairs, LATENCY)[-1], self.turned)
        for i in range(self.width):
            pair, turn = self.pairs.p.elements[i], self.turns.p.elements[i]
            turned = self.turned.p.elements[i]
            a_cosine = self._product(m, f"a_cosine_{i}", pair.a, turn.cosine)
            b_cosine = self._product(m, f"b_cosine_{i}", pair.b, turn.cosine)
            a_sine = self._product(m, f"a_sine_{i}", pair.a, turn.sine)
            b_sine = self._product(m, f"b_sine_{i}", pair.b, turn.sine)
            for name, exact, word in (
                ("a", a_cosine - b_sine, turned.a),
                ("b", a_sine + b_cosine, turned.b),
            ):
                total = Signal(exact.shape(), name=f"total_{name}_{i}", reset_less=True)
                whole = Signal(
                    rounded(total, TURN_FRACTION).shape(), name=f"whole_{name}_{i}", reset_less=True
                )
                m.d.sync += [
                    total.eq(exact),
                    whole.eq(rounded(total, TURN_FRACTION)),
                    word.eq(saturated(whole)),
                ]
        return m

    def _product(self, m: Module, name: str, word: Signal, turn: Signal) -> Signal:
        m.submodules[name] = product = Multiplier(a=_WORD, b=TURN)
        m.d.comb += [product.a.eq(word), product.b.eq(turn)]
        return product.product
