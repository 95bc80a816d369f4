"""Drains the accumulators of a matrix (``docs/program.md``, table of MATVEC)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.spec.program import Drain as Kind
from hw.spec.program import Instruction
from hw.vector import drain_shift, rescale, residual
from hw.vector.beat import WORD_BITS, beat_layout, delay, send
from hw.vector.best import Best
from hw.vector.drain_shift import DrainShift, Scalars, scalar_members
from hw.vector.memory import ADDRESS_BITS, READ_LATENCY, ReadSignature, WriteSignature
from hw.vector.rescale import Rescale
from hw.vector.single import read_word, write_word
from hw.vector.step import step_members
from hw.vector.word import saturated

#: Most logits of a vocabulary.
VOCABULARY = 1 << 20

#: Cycles from an accumulator until its shift is known.
SHIFT_AT = READ_LATENCY + drain_shift.LATENCY


def model(
    instruction: Instruction,
    scalars: Scalars,
    accumulators: Sequence[int],
    a: Sequence[int],
    b: Sequence[int],
) -> list[int]:
    """Drain a matrix.

    Parameters
    ----------
    instruction : Instruction
        MATVEC.
    scalars : Scalars
        n, R, u, E, G and ``jz - j - ev``.
    accumulators : sequence of int
        Outputs of the matrix.
    a, b : sequence of int
        Operands, as many words; what the drain does not read does not matter.

    Returns
    -------
    list of int
        Words or logits.
    """
    drained = []
    for accumulator, h, word in zip(accumulators, a, b, strict=True):
        multiplier, k = drain_shift.model(instruction, scalars, word)
        if instruction["drain"] == Kind.RESIDUAL:
            drained.append(residual.model(h, accumulator, k))
        else:
            drained.append(rescale.model(accumulator, multiplier, k))
    return drained


def latency(params: CoreParams) -> int:
    """Cycles from an accumulator to its write; after the last one ``done`` takes another."""
    return SHIFT_AT + residual.latency(params)


class Drain(wiring.Component):
    """Turns accumulators, as they come, one a cycle, into words or logits: see :func:`latency`.

    Before it stands the output buffer of the tile engine; what it writes is read by the next
    instructions. The words of b and a of an output are read while it is on its way.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`. With ``done`` of the ``final`` LOGITS ``best`` is
        valid.
    accumulators : In(stream)
        Outputs in their order; ``count`` are taken. LOGITS wait until ``best`` is taken.
    shift, multiplier, exponent, base, gain, gain_shift : In
        See :func:`hw.vector.drain_shift.scalar_members`; stable from ``start`` on, ``base`` from
        the first accumulator on.
    a, b : Out(ReadSignature)
        Vector memory.
    write : Out(WriteSignature)
        Vector memory, all 0 where nothing is written.
    best : Out(stream)
        The largest of consecutive LOGITS, see :class:`hw.vector.best.Best`; ids count from 0.
    clear : In(1)
        Forgets logits, taken or not; not while LOGITS act.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        self._best = Best(vocabulary=VOCABULARY, count=params.best, width=1)
        accumulator = signed(params.accumulator_width)
        super().__init__(
            {
                **step_members(),
                "accumulators": In(stream.Signature(accumulator)),
                **scalar_members(),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "write": Out(WriteSignature(params)),
                "best": Out(self._best.best.signature),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        """Shift; rescaling; sum with the residual; write, or choice."""
        m = Module()
        is_logits = Signal()
        m.d.sync += is_logits.eq(self.instruction.drain == Kind.LOGITS)
        taken, rest = self._take(m, is_logits)
        tags = delay(m, taken, latency(self.params))
        accumulator = taken.p.elements[0]
        for stage in range(SHIFT_AT):
            later = Signal.like(accumulator, name=f"accumulator_{stage}")
            m.d.sync += later.eq(accumulator)
            accumulator = later

        m.submodules.rescale = rescaled = Rescale(params=self.params, width=1)
        send(m, tags[SHIFT_AT], rescaled.accumulators)
        scaled = rescaled.accumulators.p.elements[0]
        shift = self._shift(m, taken.valid, rest != 0)
        m.d.comb += [
            scaled.accumulator.eq(accumulator),
            scaled.multiplier.eq(shift.factor),
            scaled.k.eq(shift.k),
            rescaled.words.ready.eq(1),
        ]
        self._choose(m, rescaled.words, is_logits)
        word_at = latency(self.params) - residual.LATENCY
        word = self._sum(m, tags[word_at - READ_LATENCY], rescaled.words.p.elements[0])
        target = self._address(m, self.instruction.target, tags[-1].valid)
        with m.If(tags[-1].valid & ~is_logits):
            write_word(m, self.write, target, word)
        m.d.sync += self.done.eq(tags[-1].valid & tags[-1].last)
        return m

    def _take(self, m: Module, is_logits):
        """Take ``count`` accumulators; they are waited for at no later stage."""
        rest = Signal.like(self.count)
        layout = beat_layout(self.accumulators.payload.shape(), 1)
        taken = stream.Signature(layout, always_ready=True).create()
        m.d.comb += [
            self.accumulators.ready.eq((rest != 0) & ~(is_logits & self.best.valid)),
            taken.valid.eq(self.accumulators.valid & self.accumulators.ready),
            taken.p.elements[0].eq(self.accumulators.payload),
            taken.p.count.eq(1),
            taken.p.last.eq(rest == 1),
        ]
        with m.If(self.start):
            m.d.sync += rest.eq(self.count)
        with m.Elif(taken.valid):
            m.d.sync += rest.eq(rest - 1)
        return taken, rest

    def _address(self, m: Module, first, advance) -> Signal:
        """Count words of an operand."""
        address = Signal(ADDRESS_BITS)
        with m.If(self.start):
            m.d.sync += address.eq(first)
        with m.Elif(advance):
            m.d.sync += address.eq(address + 1)
        return address

    def _shift(self, m: Module, taken, running) -> DrainShift:
        """Read the words of b, and find multiplier and shifts."""
        m.submodules.shift = shift = DrainShift()
        address = self._address(m, self.instruction.b, taken)
        with m.If(running):
            m.d.comb += self.b.address.eq(address)
        m.d.comb += [
            shift.instruction.eq(self.instruction),
            shift.word.eq(read_word(m, self.b)),
            *(getattr(shift, name).eq(getattr(self, name)) for name in Scalars._fields),
        ]
        return shift

    def _sum(self, m: Module, tag, word) -> Signal:
        """Add the residual that is asked for now, or nothing."""
        is_residual = self.instruction.drain == Kind.RESIDUAL
        address = self._address(m, self.instruction.a, tag.valid)
        with m.If(tag.valid & is_residual):
            m.d.comb += self.a.address.eq(address)
        h = Mux(is_residual, read_word(m, self.a), Const(0, signed(WORD_BITS)))
        total = Signal(signed(WORD_BITS + 1))
        summed = Signal(signed(WORD_BITS))
        m.d.sync += [total.eq(h + word), summed.eq(saturated(total))]
        return summed

    def _choose(self, m: Module, words, is_logits) -> None:
        """Hand logits to the choice; the last of the ``final`` instruction end it."""
        m.submodules.best = ResetInserter(self.clear)(self._best)
        wiring.connect(m, self._best.best, wiring.flipped(self.best))
        m.d.comb += [
            self._best.logits.valid.eq(words.valid & is_logits),
            self._best.logits.p.elements.eq(words.p.elements),
            self._best.logits.p.count.eq(1),
            self._best.logits.p.last.eq(words.p.last & self.instruction.final),
        ]
