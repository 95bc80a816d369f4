"""Multiplier and shift of an output that is drained (``docs/program.md``, table of MATVEC)."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.layout import instruction_layout
from hw.spec.program import Drain, Instruction
from hw.vector.beat import WORD_BITS
from hw.vector.normalization_shift import SHIFT_BITS
from hw.vector.rescale import MULTIPLIER, SHIFT
from hw.vector.residual import ONE
from hw.vector.root import scale_layout
from hw.vector.weight import EXPONENT_AT
from hw.vector.word import saturated

#: Cycles from a word of b to its shift.
LATENCY = 2

_MOST = (1 << SHIFT.width - 1) - 1


class Scalars(NamedTuple):
    """What earlier instructions have set, and the base exponent of the encoded vector."""

    shift: int = 0
    multiplier: int = 0
    exponent: int = 0
    base: int = 0
    gain: int = 0
    gain_shift: int = 0


def scalar_members() -> dict:
    """Return ports for :class:`Scalars`.

    Members
    -------
    shift, multiplier, exponent : In
        n, R and u of :class:`hw.vector.feed.Feed`.
    base : In(4)
        E, which may come with the first output.
    gain, gain_shift : In
        G and ``jz - j - ev`` of a SOFTMAX.
    """
    scale = {name: In(part.shape) for name, part in scale_layout()}
    return {
        "shift": In(signed(SHIFT_BITS)),
        **scale,
        "base": In(unsigned(4)),
        "gain": In(MULTIPLIER),
        "gain_shift": In(signed(7)),
    }


def model(instruction: Instruction, scalars: Scalars, word: int) -> tuple[int, int]:
    """Find multiplier and shift of one output.

    Parameters
    ----------
    instruction : Instruction
        MATVEC.
    scalars : Scalars
        n, R, u, E, G and ``jz - j - ev``.
    word : int
        Word of b: exponent of the row, or mantissa and exponent of a key.

    Returns
    -------
    tuple of int
        Multiplier, and shift k of any size.
    """
    constant, n, base = instruction["constant"], scalars.shift, scalars.base
    match Drain(instruction["drain"]):
        case Drain.RESIDUAL:
            return ONE, constant - n - base - word
        case Drain.SCORES:
            exponent = word >> EXPONENT_AT
            return instruction["multiplier"], constant - n - base - exponent
        case Drain.CONTEXT:
            return scalars.gain, constant + scalars.gain_shift
    return scalars.multiplier, constant + scalars.exponent - n - base - word


class DrainShift(wiring.Component):
    """Finds multiplier and shift of an output, a cycle each.

    Before it stands vector memory, behind it :class:`hw.vector.rescale.Rescale`.

    Members
    -------
    instruction : In
        MATVEC, stable from 2 cycles before the first word on.
    shift, multiplier, exponent, base, gain, gain_shift : In
        See :func:`scalar_members`; as stable.
    word : In(signed(24))
        Of b.
    factor : Out(16)
        Multiplier of all outputs.
    k : Out(signed(7))
        Shift, saturated, ``LATENCY`` cycles after its word.
    """

    def __init__(self):
        super().__init__(
            {
                "instruction": In(instruction_layout()),
                **scalar_members(),
                "word": In(signed(WORD_BITS)),
                "factor": Out(MULTIPLIER),
                "k": Out(SHIFT),
            }
        )

    def elaborate(self, platform):
        """Sum of what all outputs share, in two cycles; difference to the exponent; saturation."""
        m = Module()
        constant = self.instruction.constant
        vector = Signal(signed(SHIFT_BITS + 1))
        fixed = Signal(signed(len(constant) + 1))
        shared = Signal(signed(len(fixed) + 1))
        exponent = Signal(signed(WORD_BITS))
        m.d.sync += [fixed.eq(constant - self.base), vector.eq(-self.shift)]
        m.d.comb += exponent.eq(self.word)
        with m.Switch(self.instruction.drain):
            with m.Case(Drain.NORMED, Drain.LOGITS):
                m.d.sync += [self.factor.eq(self.multiplier), vector.eq(self.exponent - self.shift)]
            with m.Case(Drain.RESIDUAL):
                m.d.sync += self.factor.eq(ONE)
            with m.Case(Drain.SCORES):
                m.d.sync += self.factor.eq(self.instruction.multiplier)
                m.d.comb += exponent.eq(self.word >> EXPONENT_AT)
            with m.Case(Drain.CONTEXT):
                m.d.sync += self.factor.eq(self.gain)
                m.d.sync += [fixed.eq(constant), vector.eq(self.gain_shift)]
                m.d.comb += exponent.eq(0)

        difference = Signal(signed(WORD_BITS + 1))
        m.d.sync += [
            shared.eq(fixed + vector),
            difference.eq(shared - exponent),
            self.k.eq(saturated(difference, _MOST)),
        ]
        return m
