"""Makes the elements of a vector that enters a matrix from words of vector memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.program import OPERANDS, Opcode
from hw.vector import gate
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.gate import Gate
from hw.vector.normalization_shift import ELEMENT_BITS

_WORD = signed(WORD_BITS)

#: Cycles from a beat of words to its elements.
LATENCIES = {
    Opcode.NORM: gate.PRODUCT_LATENCY,
    Opcode.NORMALIZE: 0,
    Opcode.GATE: gate.LATENCY,
    Opcode.GELU: gate.WEIGHTED_LATENCY,
}


def model(opcode: Opcode, a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Make elements.

    Parameters
    ----------
    opcode : Opcode
        NORM, NORMALIZE, GATE or GELU.
    a, b : sequence of int
        Words: h and gamma; the vector and what does not matter; g and u; g.

    Returns
    -------
    list of int
        Elements of 40, 24, 47 or 24 bits.
    """
    match opcode:
        case Opcode.NORM:
            return [h * gamma for h, gamma in zip(a, b, strict=True)]
        case Opcode.NORMALIZE:
            return list(a)
        case Opcode.GATE:
            return [gate.model(g, u) for g, u in zip(a, b, strict=True)]
        case Opcode.GELU:
            return [gate.gelu_model(g) for g in a]
    raise ValueError(f"opcode must be NORM, NORMALIZE, GATE or GELU, not {opcode!r}")


class Elements(wiring.Component):
    """Multiplies words by gamma, passes them on or gates them; a beat a cycle.

    Before it stands vector memory; behind it
    :class:`hw.vector.normalization_shift.NormalizationShift`, and in a second pass
    :class:`hw.vector.normalize.Normalize`.

    Parameters
    ----------
    width : int
        Elements a cycle, at least 1.
    gelu : bool
        Whether GELU may come.

    Members
    -------
    opcode : In(8)
        NORM, NORMALIZE, GATE or GELU; may change while no beat is on its way or comes in the next
        cycle.
    words : In(stream)
        Beats of words ``a`` and ``b``, see :func:`hw.vector.beat.beat_layout`; gammas have 16
        bits; always ready.
    elements : Out(stream)
        Beats of 47-bit elements, ``LATENCIES[opcode]`` cycles later; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH, gelu: bool = False):
        self.width, self.gelu = width, gelu
        words = beat_layout(data.StructLayout({"a": _WORD, "b": _WORD}), width)
        elements = beat_layout(signed(ELEMENT_BITS), width)
        super().__init__(
            {
                "opcode": In(OPERANDS["opcode"].width),
                "words": In(stream.Signature(words, always_ready=True)),
                "elements": Out(stream.Signature(elements, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Products and gates, from the same multipliers; choice."""
        m = Module()
        tags = delay(m, self.words, max(LATENCIES.values()))
        m.submodules.gate = gated = Gate(width=self.width, gelu=self.gelu)
        send(m, tags[0], gated.pairs)
        m.d.sync += gated.scales.eq(self.opcode == Opcode.NORM)
        made = {Opcode.NORM: [], Opcode.NORMALIZE: [], Opcode.GATE: []}
        if self.gelu:
            m.d.sync += gated.normal.eq(self.opcode == Opcode.GELU)
            made[Opcode.GELU] = list(gated.weighted)
        for i in range(self.width):
            words, pair = self.words.p.elements[i], gated.pairs.p.elements[i]
            m.d.comb += [
                pair.gate.eq(words.a),
                pair.up.eq(words.b),
            ]
            made[Opcode.NORM].append(gated.products[i])
            made[Opcode.NORMALIZE].append(words.a)
            made[Opcode.GATE].append(gated.gated.p.elements[i])
        # One bit each, and no order between them: nothing stands before the choice.
        choices = []
        for kind, elements in made.items():
            chosen = Signal(name=f"is_{kind.name.lower()}")
            m.d.sync += chosen.eq(self.opcode == kind)
            with m.If(chosen):
                send(m, tags[LATENCIES[kind]], self.elements)
            choices.append((chosen.replicate(ELEMENT_BITS), elements))
        for i, element in enumerate(self.elements.p.elements):
            offered = (chosen & _extended(elements[i]) for chosen, elements in choices)
            m.d.comb += element.eq(reduce(or_, offered))
        return m


def _extended(value: Value) -> Value:
    """Return the bits of an element."""
    return Cat(value, value[-1].replicate(ELEMENT_BITS - len(value)))
