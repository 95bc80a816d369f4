"""LayerNorm of words in vector memory (``docs/program.md``, LAYER_NORM)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.vector import multiplier, rescale, root, scaled_words
from hw.vector.beat import WORD_BITS, beat_layout
from hw.vector.memory import ADDRESS_BITS, READ_LATENCY, ReadSignature, words_layout
from hw.vector.multiplier import Multiplier
from hw.vector.reduction import reduce
from hw.vector.rescale import MULTIPLIER, SHIFT
from hw.vector.root import RootMeanSquare
from hw.vector.scaled_words import NUMBER_BITS
from hw.vector.step import step_members
from hw.vector.word import saturate, saturated

_WORD, _GAMMA = signed(WORD_BITS), signed(16)
_MOST = (1 << SHIFT.width - 1) - 1

#: Cycles from a beat's place until its words are held, and until they are less their mean.
_HELD = 1 + READ_LATENCY + 1
_CENTRED = _HELD + 2

#: Cycles until they are multiplied by gamma.
_MULTIPLIED = _CENTRED + multiplier.latency(_WORD, _GAMMA)


def model(instruction: Instruction, h: Sequence[int], gamma: Sequence[int], beta: Sequence[int]):
    """Execute an instruction.

    Parameters
    ----------
    instruction : Instruction
        LAYER_NORM.
    h, gamma, beta : sequence of int
        Words; gammas have 16 bits.

    Returns
    -------
    list of int
        Words.
    """
    i = instruction
    (mean,) = scaled_words.model([sum(h)], i["mean"], i["mean_shift"])
    centred = [saturate(word - mean) for word in h]
    factor, u = root.model(centred, i["epsilon_low"], i["multiplier"])
    products = [word * gain for word, gain in zip(centred, gamma, strict=True)]
    return scaled_words.model(products, factor, i["constant"] + u, beta)


class LayerNorm(wiring.Component):
    """Reads words three times: for their mean, for their deviation, and to norm them.

    The third time a beat takes two cycles, in the second of which betas are read. Behind it stands
    :class:`hw.vector.scaled_words.ScaledWords`; see :func:`hw.spec.token_cycles.layer_norm_cycles`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count
        See :func:`hw.vector.step.step_members`.
    active : Out(1)
        From the cycle after ``start`` until ``ended``.
    ended : In(1)
        All words have been written; pulses.
    a, b : Out(ReadSignature)
        Words and betas; gammas.
    numbers, multiplier, k : Out
        Sum of the words, then products with gamma, and how they are rescaled; else 0.
    store : Out(1)
        Rescaled words are the result; the one before is the mean.
    mean : In(stream)
        Rescaled words.
    adds, addends : Out
        Betas, when the words that they are added to are rescaled.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        width = params.vector_width
        self._root = RootMeanSquare(width=width)
        numbers, words = (beat_layout(signed(bits), width) for bits in (NUMBER_BITS, WORD_BITS))
        members = step_members()
        del members["done"]
        super().__init__(
            {
                **members,
                "active": Out(1),
                "ended": In(1),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "numbers": Out(stream.Signature(numbers, always_ready=True)),
                "multiplier": Out(MULTIPLIER),
                "k": Out(SHIFT),
                "store": Out(1),
                "mean": In(stream.Signature(words, always_ready=True)),
                "adds": Out(1),
                "addends": Out(words_layout(params)),
            }
        )

    def elaborate(self, platform):
        """Three passes, each begun by what the one before has found."""
        m = Module()
        instruction, width = self.instruction, self.params.vector_width
        m.submodules.root = norm = self._root
        begin, begins, summing, deviating = Signal(), Signal(3), Signal(), Signal()
        mean, scaled_at = Signal(_WORD), Signal(signed(len(instruction.constant) + 2))
        m.d.comb += begin.eq(self.start | begins[-1])
        m.d.sync += [
            begins.eq(begins << 1),
            scaled_at.eq(instruction.constant + norm.scale.p.exponent),
        ]
        m.d.comb += norm.scale.ready.eq(1)
        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                summing.eq(1),
                mean.eq(0),
                self.multiplier.eq(instruction.mean),
                self.k.eq(instruction.mean_shift),
            ]
        with m.If(summing & self.mean.valid):
            m.d.sync += [
                summing.eq(0),
                deviating.eq(1),
                mean.eq(self.mean.p.elements[0]),
                begins.eq(0b100),
            ]
        with m.If(deviating & norm.scale.valid):
            m.d.sync += [
                deviating.eq(0),
                self.store.eq(1),
                self.multiplier.eq(norm.scale.p.multiplier),
                begins.eq(0b001),
            ]
        with m.If(begins[0]):
            m.d.sync += self.k.eq(saturated(scaled_at, _MOST))
        with m.If(self.ended):
            m.d.sync += [self.active.eq(0), self.store.eq(0), self.multiplier.eq(0), self.k.eq(0)]

        tags = self._read(m, begin)
        held = tags[_HELD - 1]
        centred = []
        for i in range(width):
            word = Signal(_WORD, name=f"word_{i}")
            difference = Signal(signed(WORD_BITS + 1), name=f"difference_{i}")
            value = Signal(_WORD, name=f"centred_{i}")
            m.d.sync += [
                word.eq(Mux(held.count > i, self.a.words[i], 0)),
                difference.eq(word - mean),
                value.eq(saturated(difference)),
            ]
            centred.append(value)
        tag = tags[_CENTRED]
        total = Signal(signed(NUMBER_BITS))
        of_sum = Signal.like(tag)
        m.d.comb += [of_sum.eq(tag), of_sum.valid.eq(tag.valid & summing)]
        summed = reduce(m, centred, of_sum, add, total)
        m.d.comb += [
            norm.words.valid.eq(tag.valid & deviating),
            norm.words.p.count.eq(tag.count),
            norm.words.p.last.eq(tag.last),
            norm.epsilon.eq(instruction.epsilon_low),
            norm.root_of_length.eq(instruction.multiplier),
            *(word.eq(value) for word, value in zip(norm.words.p.elements, centred, strict=True)),
        ]
        self._scale(m, centred, tags[_MULTIPLIED], summed, total)
        return m

    def _scale(self, m: Module, centred, tag, summed, total) -> None:
        """Hand on the sum, later the products with gamma."""
        numbers = self.numbers
        with m.If(self.store & tag.valid):
            m.d.comb += [
                numbers.valid.eq(1),
                numbers.p.count.eq(tag.count),
                numbers.p.last.eq(tag.last),
            ]
        with m.Elif(summed):
            m.d.comb += [numbers.valid.eq(1), numbers.p.count.eq(1), numbers.p.last.eq(1)]
        for i, value in enumerate(centred):
            m.submodules[f"product_{i}"] = product = Multiplier(a=_WORD, b=_GAMMA)
            gamma = self.b.words[i][: _GAMMA.width].as_signed()
            for stage in range(_CENTRED - _HELD + 1):
                later = Signal(_GAMMA, name=f"gamma_{i}_{stage}")
                m.d.sync += later.eq(gamma)
                gamma = later
            m.d.comb += [product.a.eq(value), product.b.eq(gamma)]
            with m.If(self.store & tag.valid):
                m.d.comb += numbers.p.elements[i].eq(product.product)
            if i == 0:
                with m.Elif(summed):
                    m.d.comb += numbers.p.elements[0].eq(total)

    def _read(self, m: Module, begin) -> list[Signal]:
        """Ask for words; return the tags of beats, by the cycles since their place was known.

        In the third pass, gammas are asked for beside them, and betas between them.
        """
        instruction, width = self.instruction, self.params.vector_width
        reading, between, slow = Signal(), Signal(), Signal()
        offset, of_betas = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        remaining = Signal(16)
        # An odd number of cycles, so that betas come when no others do; else a register helps.
        distance = _MULTIPLIED + rescale.latency(self.params) - READ_LATENCY - 1
        held, distance = (distance % 2 == 0), distance - (distance % 2 == 0)
        layout = data.StructLayout({"valid": 1, "count": range(width + 1), "last": 1})
        stages = range(max(_MULTIPLIED, distance) + 1)
        tags = [Signal(layout, name=f"tag_{stage}") for stage in stages]
        place = tags[0]
        m.d.comb += [
            slow.eq(self.store),
            place.valid.eq(reading & ~between),
            place.last.eq(remaining <= width),
            place.count.eq(Mux(place.last, remaining, width)),
        ]
        m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]
        due = Signal()
        m.d.comb += due.eq(tags[distance].valid & slow)
        m.d.sync += [self.a.address.eq(0), self.b.address.eq(0)]
        with m.If(place.valid):
            m.d.sync += self.a.address.eq(instruction.a + offset)
            with m.If(slow):
                m.d.sync += self.b.address.eq(instruction.b + offset)
        with m.Elif(due):
            m.d.sync += [
                self.a.address.eq(instruction.c + of_betas),
                of_betas.eq(of_betas + width),
            ]
        with m.If(reading):
            m.d.sync += between.eq(slow & ~between)
            with m.If(~slow | between):
                m.d.sync += [
                    offset.eq(offset + width),
                    remaining.eq(remaining - width),
                    reading.eq(~place.last),
                ]
        with m.If(begin):
            m.d.sync += [
                reading.eq(1),
                between.eq(0),
                offset.eq(0),
                of_betas.eq(0),
                remaining.eq(self.count),
            ]
        m.d.comb += self.adds.eq(slow)
        for addend, word in zip(self.addends, self.a.words, strict=True):
            if held:
                later = Signal.like(word)
                m.d.sync += later.eq(word)
                word = later
            m.d.comb += addend.eq(word)
        return tags
