"""Rotary embedding of heads in vector memory (``docs/program.md``, ROTATE)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.vector import head_pairs, rotary
from hw.vector.head_pairs import HeadPairs
from hw.vector.memory import READ_LATENCY, ReadSignature, WriteSignature
from hw.vector.rotary import Rotary
from hw.vector.single import read_word, write_word
from hw.vector.step import step_members

#: Cycles from the reading of a pair until both its words and its turn stand in registers.
_FETCH = READ_LATENCY + 2


def model(words: Sequence[int], instruction: Instruction) -> list[int]:
    """Execute the instruction.

    Parameters
    ----------
    words : sequence of int
        All of vector memory.
    instruction : Instruction
        ROTATE.

    Returns
    -------
    list of int
        All of vector memory afterwards.
    """
    turned = list(words)
    pairs = head_pairs.model(
        instruction["a"],
        heads=instruction["count"],
        inner=instruction["inner"],
        interleaved=bool(instruction["interleaved"]),
    )
    for first, second, place in pairs:
        cosine, sine = words[instruction["c"] + place], words[instruction["b"] + place]
        turned[first], turned[second] = rotary.model(words[first], words[second], cosine, sine)
    return turned


class Rotate(wiring.Component):
    """Turns a pair every two cycles, in place.

    One cycle reads the words of a pair through both ports, the next its cosine and sine. Its
    turned words are written one after the other. As every pair is read once, and before it is
    written, no pair need wait for another. See :func:`hw.spec.token_cycles.rotate_cycles`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`; ``count`` is the number of heads.
    a, b : Out(ReadSignature)
        First and second words of pairs; cosines and sines.
    write : Out(WriteSignature)
        Turned words.
    """

    def __init__(self, params: CoreParams):
        super().__init__(
            {
                **step_members(),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "write": Out(WriteSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Read pairs and turns in turn; bring them together; write what the rotary makes."""
        m = Module()
        m.submodules.reads = reads = HeadPairs()
        m.submodules.writes = writes = HeadPairs()
        m.submodules.rotary = turner = Rotary(width=1)
        for pairs in (reads, writes):
            m.d.comb += [
                pairs.start.eq(self.start),
                pairs.instruction.eq(self.instruction),
                pairs.count.eq(self.count),
            ]

        reading, turn = Signal(), Signal()
        cosine, sine = Signal.like(reads.first), Signal.like(reads.first)
        m.d.sync += [
            turn.eq(reading & ~turn),
            cosine.eq(self.instruction.c + reads.place),
            sine.eq(self.instruction.b + reads.place),
        ]
        with m.If(self.start):
            m.d.sync += reading.eq(1)
        with m.If(turn):
            m.d.comb += [self.a.address.eq(cosine), self.b.address.eq(sine), reads.step.eq(1)]
            m.d.sync += reading.eq(~reads.last)
        with m.Elif(reading):
            m.d.comb += [self.a.address.eq(reads.first), self.b.address.eq(reads.second)]

        # The words of a pair come a cycle before its cosine and sine, and wait for them.
        fetched = Signal(_FETCH)
        m.d.sync += fetched.eq(fetched << 1 | (reading & ~turn))
        pair, element = turner.pairs.p.elements[0], turner.turns.p.elements[0]
        for port, word, of_turn in (
            (self.a, pair.a, element.cosine),
            (self.b, pair.b, element.sine),
        ):
            come, before = Signal.like(word), Signal.like(word)
            m.d.sync += [come.eq(read_word(m, port)), before.eq(come)]
            m.d.comb += [word.eq(before), of_turn.eq(come)]
        for beats in (turner.pairs, turner.turns):
            m.d.comb += [beats.valid.eq(fetched[-1]), beats.p.count.eq(1)]

        turned, second = turner.turned.p.elements[0], Signal.like(pair.b)
        m.d.sync += [
            second.eq(turned.b),
            writes.step.eq(turner.turned.valid),
            self.done.eq(writes.step & writes.last),
        ]
        with m.If(turner.turned.valid):
            write_word(m, self.write, writes.first, turned.a)
        with m.Elif(writes.step):
            write_word(m, self.write, writes.second, second)
        return m
