"""Probabilities times the scales of their values (``docs/arithmetic.md`` §9)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.register import plain_register
from hw.vector.beat import WIDTH, beat_layout, delay, send
from hw.vector.exponential import PROBABILITY_BITS
from hw.vector.reduction import greater, reduce, reduction_stages

#: Bits of a cached vector's scale (§8): mantissa 64..127, signed exponent.
MANTISSA_BITS = 7
EXPONENT_BITS = 6

#: Bits of a scale's word in vector memory below its exponent (``docs/program.md``, KEEP).
EXPONENT_AT = 8

WEIGHT_BITS = PROBABILITY_BITS + MANTISSA_BITS

#: No difference of exponents counts for more.
_FARTHEST = 31

#: Cycles from a beat of probabilities to its weights.
LATENCY = 4


def model(
    probabilities: Sequence[int], mantissas: Sequence[int], exponents: Sequence[int]
) -> tuple[list[int], int]:
    """Weights of a row of probabilities.

    Parameters
    ----------
    probabilities : sequence of int
        p_t, 16 bits.
    mantissas, exponents : sequence of int
        Scales of the tokens' values.

    Returns
    -------
    weights : list of int
        w_t, 23 bits.
    largest : int
        W, the largest of them.
    """
    top = max(exponents)
    rows = zip(probabilities, mantissas, exponents, strict=True)
    weights = [p * mantissa >> min(top - exponent, _FARTHEST) for p, mantissa, exponent in rows]
    return weights, max(weights)


def weighted_layout() -> data.StructLayout:
    """Return the layout of a ``probability`` and its value's ``mantissa`` and ``exponent``."""
    return data.StructLayout(
        {
            "probability": PROBABILITY_BITS,
            "mantissa": MANTISSA_BITS,
            "exponent": signed(EXPONENT_BITS),
        }
    )


class Weight(wiring.Component):
    """Multiplies probabilities by their values' scales, and finds the largest; a beat a cycle.

    Before it stand :class:`hw.vector.exponential.Exponential` and the scales of the value cache;
    behind it a buffer of weights, and :class:`hw.vector.probability.Probability`, which reads it
    when the largest is known.

    Parameters
    ----------
    width : int
        Probabilities a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a row's last beat to its largest weight.

    Members
    -------
    probabilities : In(stream)
        Rows of :func:`weighted_layout`; see :func:`hw.vector.beat.beat_layout`; always ready.
    largest_exponent : In(signed(6))
        ev, the largest exponent of the row that comes.
    weights : Out(stream)
        Beats of 23-bit weights, ``LATENCY`` cycles later; must always be accepted.
    largest : Out(stream)
        W of each row; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        self.latency = LATENCY + reduction_stages(width)
        probabilities = beat_layout(weighted_layout(), width)
        weights = beat_layout(WEIGHT_BITS, width)
        super().__init__(
            {
                "probabilities": In(stream.Signature(probabilities, always_ready=True)),
                "largest_exponent": In(signed(EXPONENT_BITS)),
                "weights": Out(stream.Signature(weights, always_ready=True)),
                "largest": Out(stream.Signature(WEIGHT_BITS, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Register, beside it the distance; product; register; shift; maximum."""
        m = Module()
        tags = delay(m, self.probabilities, LATENCY)
        send(m, tags[-1], self.weights)
        weights, terms = plain_register(m, self.weights.p.elements), []
        for i in range(self.width):
            element, weight = self.probabilities.p.elements[i], weights[i]
            # A multiplier is far from the logic before and behind it, hence its own registers.
            probability, mantissa, product, held = (
                Signal(width, name=f"{name}_{i}", reset_less=True)
                for name, width in (
                    ("probability", PROBABILITY_BITS),
                    ("mantissa", MANTISSA_BITS),
                    ("product", WEIGHT_BITS),
                    ("held", WEIGHT_BITS),
                )
            )
            difference = Signal(EXPONENT_BITS, name=f"difference_{i}")
            # 31 leaves nothing of a product, as of one that does not count.
            near = (tags[0].count > i) & (difference <= _FARTHEST)
            distances = [
                Signal(range(_FARTHEST + 1), name=f"distance_{i}_{stage}", reset_less=True)
                for stage in range(LATENCY - 1)
            ]
            m.d.comb += difference.eq(self.largest_exponent - element.exponent)
            m.d.sync += [
                probability.eq(element.probability),
                mantissa.eq(element.mantissa),
                distances[0].eq(Mux(near, difference, _FARTHEST)),
                product.eq(probability * mantissa),
                held.eq(product),
                *(
                    after.eq(before)
                    for before, after in zip(distances, distances[1:], strict=False)
                ),
                weight.eq(held >> distances[-1]),
            ]
            terms.append(weight)

        largest = Signal(WEIGHT_BITS)
        m.d.comb += [
            self.largest.valid.eq(reduce(m, terms, tags[-1], greater, largest)),
            self.largest.payload.eq(largest),
        ]
        return m
