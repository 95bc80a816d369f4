"""Feeds the encoder from vector memory (``docs/program.md``, NORM, NORMALIZE, GATE, GELU)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.encode.input_buffer import input_signature
from hw.register import plain_register
from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from hw.vector import elements, normalization_shift, normalize, root
from hw.vector.beat import delay, send
from hw.vector.elements import Elements
from hw.vector.memory import ADDRESS_BITS, READ_LATENCY, ReadSignature
from hw.vector.normalization_shift import SHIFT_BITS, NormalizationShift
from hw.vector.normalize import Normalize
from hw.vector.root import RootMeanSquare, scale_layout
from hw.vector.step import step_members
from hw.vector.walk import Walk

#: Cycles from an address to its words at the multipliers: they are far from vector memory.
_FETCH = READ_LATENCY + 1

#: Cycles from the last element's write until it is done.
WRITTEN = 3


class Fed(NamedTuple):
    """What the encoder gets, shift n, multiplier R and exponent u; these are None but for NORM."""

    inputs: list[int]
    shift: int
    multiplier: int | None
    exponent: int | None


def model(instruction: Instruction, a: Sequence[int], b: Sequence[int]) -> Fed:
    """Execute an instruction.

    Parameters
    ----------
    instruction : Instruction
        NORM, NORMALIZE, GATE or GELU.
    a, b : sequence of int
        Its operands; see :func:`hw.vector.elements.model`.

    Returns
    -------
    Fed
        Inputs and scalars.
    """
    made = elements.model(instruction.opcode, a, b)
    shift = normalization_shift.model(made)
    scale = None, None
    if instruction.opcode is Opcode.NORM:
        epsilon = instruction["epsilon_high"] << 32 | instruction["epsilon_low"]
        scale = root.model(a, epsilon, instruction["multiplier"])
    return Fed(normalize.model(made, shift), shift, *scale)


class Feed(wiring.Component):
    """Normalizes a vector into the encoder, in two passes over it.

    Each takes ``vector_width`` elements a cycle: see :func:`hw.spec.token_cycles.feed_cycles`. The
    first finds the shift, and 1/rms; the second makes the same elements once more, and hands them
    over.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`. ``done`` comes
        ``WRITTEN`` cycles after the last write: the encoder may be started 2 cycles after it.
    a, b : Out(ReadSignature)
        Vector memory.
    input : Out
        Input buffer, see :func:`hw.encode.input_buffer.input_signature`; written from address 0 on,
        all 0 where nothing is.
    shift : Out(signed(7))
        Shift n of the last instruction.
    multiplier : Out(16)
        R of the last NORM.
    exponent : Out(signed(6))
        Its u.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        self._measure = NormalizationShift(width=params.vector_width)
        self._norm = RootMeanSquare(width=params.vector_width)
        super().__init__(
            {
                **step_members(),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "input": Out(input_signature(params)),
                "shift": Out(signed(SHIFT_BITS)),
                **{name: Out(part.shape) for name, part in scale_layout()},
            }
        )

    def elaborate(self, platform):
        """Words; elements; shift and scale in the first pass, inputs in the second."""
        m = Module()
        width = self.params.vector_width
        m.submodules.measure = measure = self._measure
        m.submodules.elements = made = Elements(width=width, gelu=self.params.encoder)
        second = Signal()
        with m.If(self.start):
            m.d.sync += second.eq(0)
        with m.If(measure.shift.valid):
            m.d.sync += [second.eq(1), self.shift.eq(measure.shift.payload)]

        tag = self._read(m, self.start | measure.shift.valid, made.words.p.elements)
        send(m, tag, made.words)
        m.d.comb += made.opcode.eq(self.instruction.opcode)
        scaled = self._scale(m, made.words, second)
        inputs = self._hand_over(m, made.elements, measure.elements, second)
        self._write(m, inputs, scaled)
        return m

    def _read(self, m: Module, begin, fetched) -> Signal:
        """Fetch a beat a cycle."""
        width = self.params.vector_width
        m.submodules.walk = walk = Walk(width=width)
        m.d.comb += [walk.begin.eq(begin), walk.count.eq(self.count)]
        for port, first in ((self.a, self.instruction.a), (self.b, self.instruction.b)):
            address = Signal(ADDRESS_BITS)  # 0 between walks, so that nothing chooses on the way
            m.d.comb += port.address.eq(address)
            with m.If(walk.places.valid):
                m.d.sync += address.eq(Mux(walk.places.p.last, 0, address + width))
            with m.If(begin):
                m.d.sync += address.eq(first)
        tags = delay(m, walk.places, _FETCH)
        for i, words in enumerate(plain_register(m, fetched)):
            due = Signal(name=f"due_{i}")
            m.d.sync += due.eq(tags[READ_LATENCY - 1].count > i)
            m.d.sync += [words.a.eq(Mux(due, self.a.words[i], 0)), words.b.eq(self.b.words[i])]
        return tags[-1]

    def _scale(self, m: Module, fetched, second) -> Signal:
        """Find R and u in the first pass of NORM; tell whether none are on their way."""
        m.submodules.norm = norm = self._norm
        instruction, scale = self.instruction, norm.scale
        is_norm = instruction.opcode == Opcode.NORM
        m.d.comb += [
            norm.words.valid.eq(fetched.valid & ~second & is_norm),
            *(
                h.eq(pair.a)
                for h, pair in zip(norm.words.p.elements, fetched.p.elements, strict=True)
            ),
            norm.words.p.count.eq(self.params.vector_width),  # words that are not due are 0
            norm.words.p.last.eq(fetched.p.last),
            norm.epsilon.eq(Cat(instruction.epsilon_low, instruction.epsilon_high)),
            norm.root_of_length.eq(instruction.multiplier),
            scale.ready.eq(1),
        ]
        scaled = Signal()
        with m.If(self.start):
            m.d.sync += scaled.eq(~is_norm)
        with m.If(scale.valid):
            m.d.sync += [
                scaled.eq(1),
                self.multiplier.eq(scale.p.multiplier),
                self.exponent.eq(scale.p.exponent),
            ]
        return scaled

    def _hand_over(self, m: Module, made, measured, second):
        """Measure elements in the first pass, and normalize them in the second."""
        m.submodules.normalize = normalized = Normalize(width=self.params.vector_width)
        held, arrived = Signal.like(made.p, reset_less=True), Signal()
        m.d.sync += [held.eq(made.p), arrived.eq(made.valid)]
        m.d.comb += [
            measured.valid.eq(arrived & ~second),
            measured.p.eq(held),
            normalized.shift.eq(self.shift),
            normalized.elements.valid.eq(arrived & second),
            normalized.elements.p.eq(held),
        ]
        return normalized.inputs

    def _write(self, m: Module, inputs, scaled) -> None:
        """Write the inputs beat behind beat; in the end it is done."""
        address = Signal.like(self.input.address)
        written, ended = Signal(), Signal()
        with m.If(self.start):
            m.d.sync += address.eq(0)
        with m.If(inputs.valid):
            m.d.sync += address.eq(address + self.params.vector_width)
            m.d.comb += [
                self.input.en.eq((1 << inputs.p.count) - 1),
                self.input.address.eq(address),
                self.input.data.eq(inputs.p.elements),
            ]
        m.d.sync += [
            written.eq(inputs.valid & inputs.p.last),
            ended.eq(written | (ended & ~scaled)),
            self.done.eq(ended & scaled),
        ]
