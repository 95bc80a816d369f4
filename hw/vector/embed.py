"""Makes a residual from a row of the embedding (``docs/program.md``, EMBED)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.vector import word
from hw.vector.beat import WORD_BITS, delay
from hw.vector.memory import READ_LATENCY, ReadSignature, WriteSignature
from hw.vector.rescale import LEAST_SHIFT
from hw.vector.single import read_word
from hw.vector.step import step_members
from hw.vector.walk import Walk

#: Signed bits of weights w and of mantissas d, and of their product.
FACTOR_BITS = 8
PRODUCT_BITS = 2 * FACTOR_BITS

#: Shifts to the right by more than this give 0 as well: products are at most 2^14.
MOST_SHIFT = PRODUCT_BITS

#: Bits of the distance that the second of the two shifters takes.
_FINE = 3

#: Cycles from an element's place to its words, to the product, and to its word in the residual.
_WORDS = 1 + READ_LATENCY
_PRODUCT = _WORDS + 2
_RESULT = _PRODUCT + 4


def model(
    weights: Sequence[int], mantissas: Sequence[int], exponent: int, fraction: int
) -> list[int]:
    """Residual of a token.

    Parameters
    ----------
    weights : sequence of int
        w, -128..127.
    mantissas : sequence of int
        d of each group of 32, -128..127.
    exponent : int
        r of the row.
    fraction : int
        Fraction bits RF of the residual.

    Returns
    -------
    list of int
        Words.
    """
    k = max(-(exponent + fraction), LEAST_SHIFT)
    return [word.saturate(word.shift(w * mantissas[j // BLOCK], k)) for j, w in enumerate(weights)]


class Embed(wiring.Component):
    """Multiplies weights by the mantissas of their groups and shifts them, one a cycle.

    A token has one such instruction: more elements a cycle would save nothing but cost a shifter
    each. See :func:`hw.spec.token_cycles.embed_cycles`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`.
    a, b : Out(ReadSignature)
        Weights; exponent, then mantissas. Weights and mantissas are -128..127.
    write : Out(WriteSignature)
        Words of the residual, one a cycle.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                **step_members(),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "write": Out(WriteSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Addresses; words; product; coarse shift, fine shift, rounding, saturation."""
        m = Module()
        m.submodules.walk = walk = Walk(width=1)
        m.d.comb += [walk.begin.eq(self.start), walk.count.eq(self.count)]
        tags = delay(m, walk.places, _RESULT)
        offset = walk.places.p.offset
        group = offset // BLOCK

        # The exponent is asked for a cycle before the first mantissa, and ready as soon as it must.
        b = Mux(tags[0].valid, self.instruction.b + group, 0)
        m.d.sync += [
            self.a.address.eq(Mux(tags[0].valid, self.instruction.a + offset, 0)),
            self.b.address.eq(Mux(self.start, self.instruction.c, b)),
        ]
        weight, mantissa = Signal(signed(FACTOR_BITS), reset_less=True), Signal(signed(FACTOR_BITS))
        product = Signal(signed(PRODUCT_BITS), reset_less=True)
        m.d.sync += [
            weight.eq(read_word(m, self.a)),
            mantissa.eq(read_word(m, self.b)),
            product.eq(weight * mantissa),
        ]
        self._write(m, tags[-2:], self._shift(m, product, self._distance(m)))
        return m

    def _distance(self, m):
        """Keep the exponent; return the shift from as far left as may be needed."""
        arriving = self.start
        for cycle in range(_WORDS + 1):
            after = Signal(name=f"arriving_{cycle}")
            m.d.sync += after.eq(arriving)
            arriving = after
        left, exponent = Signal(signed(WORD_BITS + 1)), Signal(signed(WORD_BITS), reset_less=True)
        m.d.sync += exponent.eq(self.b.words[0])  # from far, hence held
        with m.If(arriving):
            m.d.sync += left.eq(exponent + self.instruction.constant)
        distance = Signal(range(MOST_SHIFT - LEAST_SHIFT + 1))
        most = Mux(left < -MOST_SHIFT, MOST_SHIFT - LEAST_SHIFT, -LEAST_SHIFT - left)
        m.d.sync += distance.eq(Mux(left > -LEAST_SHIFT, 0, most))
        return distance

    def _shift(self, m, product, distance):
        """Shift in two stages to a word and one bit below its point; round."""
        farthest = product << 1 - LEAST_SHIFT
        coarse, fine, whole = (
            Signal(farthest.shape(), name=name, reset_less=True)
            for name in ("coarse", "fine", "whole")
        )
        m.d.sync += [
            coarse.eq(farthest >> (distance[_FINE:] << _FINE)),
            fine.eq(coarse >> distance[:_FINE]),
            whole.eq(word.rounded(fine, 1)),
        ]
        return whole

    def _write(self, m, tags, whole):
        """Saturate and write words, from the target on; be done when the last one is written."""
        leaving, left = tags
        place = Signal(range(1 << len(self.count)))
        result = Mux(leaving.valid, word.saturated(whole), 0)
        mask = Const(1) << place[: exact_log2(self.params.vector_width)]
        m.d.sync += [
            self.write.address.eq(Mux(leaving.valid, self.instruction.target + place, 0)),
            self.write.mask.eq(Mux(leaving.valid, mask, 0)),
            *(written.eq(result) for written in self.write.words),
            self.done.eq(left.valid & left.last),
        ]
        with m.If(leaving.valid):
            m.d.sync += place.eq(Mux(leaving.last, 0, place + 1))
