"""Rotary embedding of heads in vector memory (``docs/program.md``, ROTATE)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect
from amaranth.utils import exact_log2

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.vector import head_pairs, rotary
from hw.vector.head_pairs import HeadPairs
from hw.vector.memory import READ_LATENCY, ReadSignature, WriteSignature
from hw.vector.pair_beats import PairBeats, rotary_lanes
from hw.vector.rotary import Rotary
from hw.vector.single import read_word
from hw.vector.step import step_members
from hw.vector.turned_beats import TurnedBeats


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
    """Turns ``vector_width`` words a cycle, or a pair every two cycles, in place.

    One cycle reads words through both ports, the next cosines and sines: those of
    ``vector_width`` pairs, if heads and tables consist of whole beats, else those of one. As every
    pair is read once, and before it is written, none need wait for another. See
    :func:`hw.spec.token_cycles.rotate_cycles`.

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
        """Read words and turns in turn; bring them together; write what the rotary makes."""
        m = Module()
        width, instruction = self.params.vector_width, self.instruction
        m.submodules.reads = reads = HeadPairs(width=width)
        m.submodules.writes = writes = HeadPairs(width=width)
        m.submodules.given = given = PairBeats(self.params)
        m.submodules.rotary = turner = Rotary(width=rotary_lanes(self.params))
        m.submodules.turned = turned = TurnedBeats(self.params)
        whole, by_beats, interleaved, begin = Signal(), Signal(), Signal(), Signal()
        if width > 1:
            places = instruction.a | instruction.b | instruction.c | instruction.inner
            m.d.comb += whole.eq(places[: exact_log2(width)] == 0)
        m.d.sync += [
            by_beats.eq(whole),
            interleaved.eq(instruction.interleaved),
            begin.eq(self.start),
        ]
        for pairs in (reads, writes):
            m.d.comb += [
                pairs.start.eq(begin),
                pairs.instruction.eq(instruction),
                pairs.count.eq(self.count),
                pairs.by_beats.eq(whole),
            ]
        for beats in (given, turned):
            m.d.comb += [
                beats.by_beats.eq(by_beats),
                beats.interleaved.eq(interleaved),
            ]
        connect(m, given.pairs, turner.pairs)
        connect(m, given.turns, turner.turns)
        connect(m, turner.turned, turned.turned)
        # Addresses and words are far from memory: they leave through registers.
        m.d.sync += [
            Value.cast(getattr(self.write, name)).eq(Value.cast(getattr(turned.write, name)))
            for name in self.write.signature.members
        ]

        reading, turn = Signal(), Signal()
        cosine, sine = Signal.like(reads.first), Signal.like(reads.first)
        come = Signal(READ_LATENCY + 2)
        m.d.sync += [
            turn.eq(reading & ~turn),
            cosine.eq(instruction.c + reads.place),
            sine.eq(instruction.b + reads.place),
            come.eq(Cat(reading & ~turn, come)),
        ]
        with m.If(begin):
            m.d.sync += reading.eq(1)
        m.d.sync += [self.a.address.eq(0), self.b.address.eq(0)]
        with m.If(turn):
            m.d.comb += reads.step.eq(1)
            m.d.sync += [
                self.a.address.eq(cosine),
                self.b.address.eq(sine),
                reading.eq(~reads.last),
            ]
        with m.Elif(reading):
            m.d.sync += [self.a.address.eq(reads.first), self.b.address.eq(reads.second)]

        for name in "ab":
            port, words = getattr(self, name), Signal.like(self.a.words, reset_less=True)
            single = read_word(m, port)
            m.d.sync += words.eq(port.words)
            with m.If(~by_beats):
                m.d.sync += words[0].eq(single)
            m.d.comb += [
                getattr(given, name).eq(words),
                getattr(given, f"single_{name}").eq(words[0]),
            ]
        m.d.comb += [
            given.come.eq(come[-1]),
            turned.first.eq(writes.first),
            turned.second.eq(writes.second),
            writes.step.eq(turned.step),
        ]
        written = Signal()
        m.d.sync += [written.eq(writes.step & writes.last), self.done.eq(written)]
        return m
