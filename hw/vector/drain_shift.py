"""Multiplier and shift of an output that is drained (``docs/program.md``, table of MATVEC)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.layout import instruction_layout
from hw.spec.program import Drain, Instruction
from hw.vector.beat import WORD_BITS
from hw.vector.memory import READ_LATENCY
from hw.vector.normalization_shift import SHIFT_BITS
from hw.vector.rescale import MULTIPLIER
from hw.vector.residual import ONE
from hw.vector.scalars import Scalars, scalars_layout
from hw.vector.weight import EXPONENT_AT

#: Cycles from an output's scalars, while its word of b is read, to its multiplier and shift.
LATENCY = READ_LATENCY + 2

#: Shape of a shift: a constant, the scalars of a vector, and a word.
SHIFT = signed(WORD_BITS + 1)


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
        case Drain.RESIDUAL | Drain.BIASED:
            return ONE, constant - n - base - word
        case Drain.SCORES:
            exponent = word >> EXPONENT_AT
            return instruction["multiplier"], constant - n - base - exponent
        case Drain.CONTEXT:
            return scalars.gain, constant + scalars.gain_shift
    return scalars.multiplier, constant + scalars.exponent - n - base - word


class DrainShift(wiring.Component):
    """Finds multiplier and shift of outputs, one a cycle.

    Before it stand vector memory and :class:`hw.vector.scalars.VectorScalars`, behind it
    :class:`hw.vector.rescale.Rescale`.

    Members
    -------
    instruction : In
        MATVEC, stable from the first output to the last.
    scalars : In(struct)
        Of an output's vector, see :func:`hw.vector.scalars.scalars_layout`.
    word : In(signed(24))
        The output's word of b, ``READ_LATENCY`` cycles later.
    factor, k : Out(16), Out(signed(25))
        Multiplier and shift, ``LATENCY`` cycles after the scalars.
    """

    def __init__(self):
        super().__init__(
            {
                "instruction": In(instruction_layout()),
                "scalars": In(scalars_layout()),
                "word": In(signed(WORD_BITS)),
                "factor": Out(MULTIPLIER),
                "k": Out(SHIFT),
            }
        )

    def elaborate(self, platform):
        """Hold what a vector's outputs share; sum it in two cycles; difference."""
        m = Module()
        instruction, given = self.instruction, self.scalars
        scalars = Signal.like(given, name="held", reset_less=True)  # chosen among those of vectors
        constant = instruction.constant
        vector = Signal(signed(SHIFT_BITS + 1))
        fixed = Signal(signed(len(constant) + 1))
        shared = Signal(signed(len(fixed) + 1))
        # The word comes from far, so that nothing is done with it before it is held.
        word = Signal(signed(WORD_BITS), name="word", reset_less=True)
        exponent = Signal(signed(WORD_BITS))
        is_scores, is_context = Signal(), Signal()
        factors = [
            Signal(MULTIPLIER, name=f"factor_{stage}", reset_less=True) for stage in range(LATENCY)
        ]
        m.d.sync += [
            scalars.eq(given),
            fixed.eq(constant - scalars.base),
            vector.eq(-scalars.shift),
            word.eq(self.word),
            is_scores.eq(instruction.drain == Drain.SCORES),
            is_context.eq(instruction.drain == Drain.CONTEXT),
        ]
        with m.If(is_context):
            m.d.sync += word.eq(0)
        m.d.comb += exponent.eq(Mux(is_scores, word >> EXPONENT_AT, word))
        with m.Switch(instruction.drain):
            with m.Case(Drain.NORMED, Drain.LOGITS):
                m.d.comb += factors[0].eq(given.multiplier)
                m.d.sync += vector.eq(scalars.exponent - scalars.shift)
            with m.Case(Drain.RESIDUAL, Drain.BIASED):
                m.d.comb += factors[0].eq(ONE)
            with m.Case(Drain.SCORES):
                m.d.comb += factors[0].eq(instruction.multiplier)
            with m.Case(Drain.CONTEXT):
                m.d.comb += factors[0].eq(given.gain)
                m.d.sync += vector.eq(scalars.gain_shift)

        m.d.sync += [
            shared.eq(Mux(is_context, constant, fixed) + vector),
            self.k.eq(shared - exponent),
            *(
                after.eq(before)
                for before, after in zip(factors, [*factors[1:], self.factor], strict=True)
            ),
        ]
        return m
