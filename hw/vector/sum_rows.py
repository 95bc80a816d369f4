"""Adds up vectors in vector memory (``docs/program.md``, SUM)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.vector import scaled_words
from hw.vector.beat import beat_layout
from hw.vector.memory import ADDRESS_BITS, READ_LATENCY, ReadSignature
from hw.vector.rescale import MULTIPLIER, SHIFT
from hw.vector.scaled_words import NUMBER_BITS
from hw.vector.step import step_members
from hw.vector.word import saturated

#: Cycles from a word's place to its sum: address, memory, a register, the sum.
_SUMMED = 1 + READ_LATENCY + 2

_MOST = (1 << SHIFT.width - 1) - 1


def model(words: Sequence[int], instruction: Instruction) -> list[int]:
    """Execute an instruction.

    Parameters
    ----------
    words : sequence of int
        All of vector memory.
    instruction : Instruction
        SUM.

    Returns
    -------
    list of int
        All of vector memory afterwards.
    """
    i, count = instruction, instruction["count"]
    starts = [i["a"] + row * i["stride"] for row in range(i["inner"])]
    sums = [sum(words[start + place] for start in starts) for place in range(count)]
    made = list(words)
    made[i["target"] : i["target"] + count] = scaled_words.model(
        sums, i["multiplier"], i["constant"]
    )
    return made


class SumRows(wiring.Component):
    """Reads a beat of one vector after the other, then the next beat of each.

    Behind it stands :class:`hw.vector.scaled_words.ScaledWords`; see
    :func:`hw.spec.token_cycles.sum_cycles`.

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
    a : Out(ReadSignature)
        Vector memory.
    numbers, multiplier, k : Out
        Sums, and how they are rescaled; 0 while none are made.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        numbers = beat_layout(signed(NUMBER_BITS), params.vector_width)
        members = step_members()
        del members["done"]
        super().__init__(
            {
                **members,
                "active": Out(1),
                "ended": In(1),
                "a": Out(ReadSignature(params)),
                "numbers": Out(stream.Signature(numbers, always_ready=True)),
                "multiplier": Out(MULTIPLIER),
                "k": Out(SHIFT),
            }
        )

    def elaborate(self, platform):
        """Walk down the rows of a beat, and on to the next; sums."""
        m = Module()
        instruction, width = self.instruction, self.params.vector_width
        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                self.multiplier.eq(instruction.multiplier),
                self.k.eq(saturated(instruction.constant, _MOST)),
            ]
        with m.Elif(self.ended):
            m.d.sync += [self.active.eq(0), self.multiplier.eq(0), self.k.eq(0)]

        tag = self._read(m)
        sums = [Signal(signed(NUMBER_BITS), name=f"sum_{i}") for i in range(width)]
        for i, total in enumerate(sums):
            word = Signal.like(self.a.words[i], name=f"word_{i}")
            m.d.sync += word.eq(self.a.words[i])
            with m.If(tag.valid):
                m.d.sync += total.eq(Mux(tag.first, 0, total) + word)
        summed = Signal.like(tag)
        m.d.sync += summed.eq(tag)
        m.d.comb += self.numbers.valid.eq(summed.valid & summed.ends)
        with m.If(self.numbers.valid):
            m.d.comb += [self.numbers.p.count.eq(summed.count), self.numbers.p.last.eq(summed.last)]
            m.d.comb += [
                number.eq(total)
                for number, total in zip(self.numbers.p.elements, sums, strict=True)
            ]
        return m

    def _read(self, m: Module) -> Signal:
        """Ask for a beat a cycle; return the tag of the words that are held now."""
        instruction, width = self.instruction, self.params.vector_width
        reading, address, column = Signal(), Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        rows, remaining = Signal(16), Signal(16)
        layout = data.StructLayout(
            {"valid": 1, "first": 1, "ends": 1, "count": range(width + 1), "last": 1}
        )
        tags = [Signal(layout, name=f"tag_{stage}") for stage in range(_SUMMED)]
        place, final = tags[0], Signal()
        following = Signal(ADDRESS_BITS)
        m.d.comb += [
            final.eq(remaining <= width),
            place.valid.eq(reading),
            place.ends.eq(rows == 1),
            place.count.eq(Mux(final, remaining, width)),
            place.last.eq(final),
            following.eq(column + width),
        ]
        m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]
        m.d.sync += self.a.address.eq(Mux(reading, address, 0))
        begins = Signal()
        m.d.comb += place.first.eq(begins)
        with m.If(reading):
            m.d.sync += [address.eq(address + instruction.stride), rows.eq(rows - 1)]
            m.d.sync += begins.eq(place.ends)
            with m.If(place.ends):
                m.d.sync += [
                    address.eq(following),
                    column.eq(following),
                    rows.eq(instruction.inner),
                    remaining.eq(remaining - width),
                    reading.eq(~final),
                ]
        with m.If(self.start):
            m.d.sync += [
                reading.eq(1),
                begins.eq(1),
                address.eq(instruction.a),
                column.eq(instruction.a),
                rows.eq(instruction.inner),
                remaining.eq(self.count),
            ]
        return tags[-1]
