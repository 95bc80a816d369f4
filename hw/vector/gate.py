"""Gate of the feed-forward network: ``silu(g) * u``, or GELU (``docs/arithmetic.md`` §10, §15)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.spec.luts import PHI, SIGMOID
from hw.vector import multiplier
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.multiplier import Multiplier
from hw.vector.word import FRACTION, rounded, shift

#: Signed bits of a gated element, with 2 F fraction bits.
GATED_BITS = 2 * WORD_BITS - 1

#: The table has 2^6 entries per unit; beyond it sigma is 0 or 1, with 15 fraction bits. GELU's
#: has 2^7, and as many in all.
STEPS = 6
NORMAL_STEPS = 7
SIGMA_FRACTION = 15
ONE = 1 << SIGMA_FRACTION

#: Shape of sigma, 0 to 1, and of what a gate is multiplied by, sigma or a gamma.
SIGMA = unsigned(SIGMA_FRACTION + 1)
FACTOR = signed(SIGMA.width + 1)

_WORD = signed(WORD_BITS)

#: Cycles until sigma is known, until the product with it is, until a is, and the gated element.
_SIGMA_AT = 2
PRODUCT_LATENCY = _SIGMA_AT + multiplier.latency(_WORD, FACTOR)
WEIGHTED_LATENCY = PRODUCT_LATENCY + 1
LATENCY = WEIGHTED_LATENCY + multiplier.latency(_WORD, _WORD)


def model(gate: int, up: int) -> int:
    """Gate one element.

    Parameters
    ----------
    gate, up : int
        Words g and u with F fraction bits.

    Returns
    -------
    int
        ``silu(g) * u`` with 2 F fraction bits, 47 bits.
    """
    index = (gate >> (FRACTION - STEPS)) + len(SIGMOID) // 2
    sigma = 0 if index < 0 else ONE if index >= len(SIGMOID) else SIGMOID[index]
    return shift(gate * sigma, SIGMA_FRACTION) * up


def gelu_model(word: int) -> int:
    """Return GELU of a word with F fraction bits."""
    index = (word >> (FRACTION - NORMAL_STEPS)) + len(PHI) // 2
    phi = 0 if index < 0 else ONE if index >= len(PHI) else PHI[index]
    return shift(word * phi, SIGMA_FRACTION)


class Gate(wiring.Component):
    """Multiplies gates, their logistic function and the other half, ``up``.

    Before it stand the buffers of gate and up, which one matrix gives; behind it the buffer of the
    vector that is normalized for the down matrix.

    Parameters
    ----------
    width : int
        Elements a cycle, at least 1.
    gelu : bool
        Whether GELU can be asked for.

    Members
    -------
    normal : In(1)
        Gates are weighted by the normal distribution; only with ``gelu``.
    scales : In(1)
        Not the gated elements are asked for, but the products ``gate * up`` with ups of 16 bits:
        the norm has no multipliers of its own.
    pairs : In(stream)
        Beats of words ``gate`` and ``up``, see :func:`hw.vector.beat.beat_layout`; always ready.
    products : Out(ArrayLayout)
        These products, ``PRODUCT_LATENCY`` cycles later.
    weighted : Out(ArrayLayout)
        Gates, weighted and rounded, ``WEIGHTED_LATENCY`` cycles later: words.
    gated : Out(stream)
        Beats of 47-bit elements, ``LATENCY`` cycles later; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH, gelu: bool = False):
        self.width, self.gelu = width, gelu
        pairs = beat_layout(data.StructLayout({"gate": _WORD, "up": _WORD}), width)
        gated = beat_layout(signed(GATED_BITS), width)
        super().__init__(
            {
                "normal": In(1),
                "scales": In(1),
                "pairs": In(stream.Signature(pairs, always_ready=True)),
                "products": Out(data.ArrayLayout(signed(WORD_BITS + FACTOR.width), width)),
                "weighted": Out(data.ArrayLayout(_WORD, width)),
                "gated": Out(stream.Signature(gated, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Look up; sigma; product and rounding; second product."""
        m = Module()
        send(m, delay(m, self.pairs, LATENCY)[-1], self.gated)
        values = [*SIGMOID, *PHI] if self.gelu else SIGMOID
        m.submodules.sigmoid = sigmoid = Memory(shape=SIGMA, depth=len(values), init=values)
        for i in range(self.width):
            pair = self.pairs.p.elements[i]
            a, up = Signal(_WORD, name=f"a_{i}", reset_less=True), pair.up
            for cycle in range(WEIGHTED_LATENCY):
                after = Signal(_WORD, name=f"up_{i}_{cycle}", reset_less=True)
                m.d.sync += after.eq(up)
                up = after

            m.submodules[f"silu_{i}"] = silu = Multiplier(a=_WORD, b=FACTOR)
            m.submodules[f"product_{i}"] = product = Multiplier(a=_WORD, b=_WORD)
            self._sigma(m, i, pair, sigmoid.read_port(), silu)
            m.d.comb += [
                self.products[i].eq(silu.product),
                product.a.eq(a),
                product.b.eq(up),
                self.weighted[i].eq(a),
                self.gated.p.elements[i].eq(product.product),
            ]
            m.d.sync += a.eq(rounded(silu.product, SIGMA_FRACTION))
        return m

    def _sigma(self, m: Module, i: int, pair, table, silu: Multiplier) -> None:
        """Hand a gate and its sigma to a multiplier, or what it is scaled by."""
        index = Signal(signed(WORD_BITS - FRACTION + NORMAL_STEPS + 1), name=f"index_{i}")
        below, above = index < 0, index >= len(SIGMOID)
        step = pair.gate >> (FRACTION - STEPS)
        if self.gelu:
            step = Mux(self.normal, pair.gate >> (FRACTION - NORMAL_STEPS), step)
            m.d.comb += table.addr[-1].eq(self.normal)
        # What is beyond the table is known as early as the table's word.
        known, factor = (
            Signal(name=f"known_{i}", reset_less=True),
            Signal(FACTOR, name=f"factor_{i}", reset_less=True),
        )
        early, late = (
            Signal(_WORD, name=f"early_{i}", reset_less=True),
            Signal(_WORD, name=f"late_{i}", reset_less=True),
        )
        # A block RAM is too slow for a multiplier behind it; hence a register.
        sigma = Signal(FACTOR, name=f"sigma_{i}", reset_less=True)
        m.d.comb += [
            index.eq(step + len(SIGMOID) // 2),
            table.addr[: exact_log2(len(SIGMOID))].eq(index),
            silu.a.eq(late),
            silu.b.eq(sigma),
        ]
        m.d.sync += [
            known.eq(self.scales | below | above),
            factor.eq(Mux(self.scales, pair.up, Mux(above, ONE, 0))),
            early.eq(pair.gate),
            late.eq(early),
            sigma.eq(Mux(known, factor, table.data)),
        ]
