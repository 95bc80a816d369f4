"""Drains the accumulators of a matrix (``docs/program.md``, table of MATVEC)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.sequence.layout import instruction_layout
from hw.sequence.output_reader import output_layout
from hw.spec.params import VECTOR_BITS, CoreParams
from hw.spec.program import Drain as Kind
from hw.spec.program import Instruction
from hw.vector import drain_shift, rescale, residual
from hw.vector.beat import WORD_BITS
from hw.vector.best import Best
from hw.vector.drain_shift import DrainShift
from hw.vector.memory import READ_LATENCY, ReadSignature, WriteSignature
from hw.vector.output_address import OutputAddress
from hw.vector.rescale import Rescale
from hw.vector.scalars import Scalars, scalars_layout
from hw.vector.single import read_word
from hw.vector.word import saturated

#: Drains that add words of a.
ADDING = (Kind.RESIDUAL, Kind.BIASED)

#: Most logits of a vocabulary.
VOCABULARY = 1 << 20


def model(
    instruction: Instruction,
    scalars: Scalars,
    accumulators: Sequence[int],
    a: Sequence[int],
    b: Sequence[int],
) -> list[int]:
    """Drain what a matrix makes of one vector.

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
        if instruction["drain"] in ADDING:
            drained.append(residual.model(h, accumulator, k))
        else:
            drained.append(rescale.model(accumulator, multiplier, k))
    return drained


def latency(params: CoreParams) -> int:
    """Cycles from an accumulator to its write; after the last one ``done`` takes another."""
    return drain_shift.LATENCY + residual.latency(params)


class Drain(wiring.Component):
    """Turns outputs, as they come, one a cycle, into words or logits: see :func:`latency`.

    Before it stands :class:`hw.sequence.output_reader.OutputReader`; what it writes is read by the
    next instructions. The words of b and a of an output are read while it is on its way.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, done : In(1), Out(1)
        A matrix begins; all of its effects have happened. Both pulse. With ``done`` of the
        ``final`` LOGITS ``best`` is valid.
    instruction : In
        MATVEC; stable from ``start`` to ``done``.
    outputs : In(stream)
        See :func:`hw.sequence.output_reader.output_layout`; taken up to the ``last``. LOGITS wait
        until ``best`` is taken.
    vector : Out(6)
        Number of the vector whose output comes next.
    scalars : In(struct)
        Its scalars, see :func:`hw.vector.scalars.scalars_layout`, while its outputs are taken.
    a, b : Out(ReadSignature)
        Vector memory; the address of a is 0 where nothing is read.
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
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "done": Out(1),
                "outputs": In(stream.Signature(output_layout(params))),
                "vector": Out(VECTOR_BITS),
                "scalars": In(scalars_layout()),
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
        instruction = self.instruction
        is_logits = Signal()
        m.d.sync += is_logits.eq(instruction.drain == Kind.LOGITS)
        tags = self._take(m, is_logits)
        accumulator = self.outputs.p.accumulator
        for stage in range(drain_shift.LATENCY):
            later = Signal.like(accumulator, name=f"accumulator_{stage}", reset_less=True)
            m.d.sync += later.eq(accumulator)
            accumulator = later

        m.submodules.rescale = rescaled = Rescale(params=self.params, width=1, k=drain_shift.SHIFT)
        scaled = rescaled.accumulators.p
        shift = self._shift(m, tags[0])
        m.d.comb += [
            rescaled.accumulators.valid.eq(tags[drain_shift.LATENCY].valid),
            scaled.count.eq(1),
            scaled.last.eq(tags[drain_shift.LATENCY].last),
            scaled.elements[0].accumulator.eq(accumulator),
            scaled.elements[0].multiplier.eq(shift.factor),
            scaled.elements[0].k.eq(shift.k),
            rescaled.words.ready.eq(1),
        ]
        self._choose(m, rescaled.words, is_logits)
        word_at = latency(self.params) - residual.LATENCY
        added = rescaled.words.p.elements[0]
        asks = tags[word_at - READ_LATENCY - 1]
        word = self._sum(m, asks, added, tags[-2].valid & ~is_logits)
        self._write(m, tags[-2], word, writes=~is_logits)
        m.d.sync += self.done.eq(tags[-1].valid & tags[-1].last)
        return m

    def _take(self, m: Module, is_logits) -> list[Signal]:
        """Take outputs, which are waited for at no later stage; return their tags, by stages."""
        several = int(self.params.batch > 1)
        layout = {"valid": 1, "ends_segment": several, "ends_tile": several, "last": 1}
        stages = range(latency(self.params) + 1)
        tags = [Signal(data.StructLayout(layout), name=f"tag_{stage}") for stage in stages]
        running, waits, output = Signal(), Signal(), self.outputs.p
        m.d.sync += waits.eq(is_logits & self.best.valid)  # they come long after a start
        m.d.comb += [
            self.outputs.ready.eq(running & ~waits),
            tags[0].valid.eq(self.outputs.valid & self.outputs.ready),
            *(tags[0][name].eq(output[name]) for name in layout if name != "valid"),
        ]
        m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]
        with m.If(tags[0].valid):
            with m.If(output.last):
                m.d.sync += running.eq(0)
            with m.If(output.ends_tile):
                m.d.sync += self.vector.eq(self.instruction.vector)
            with m.Elif(output.ends_segment):
                m.d.sync += self.vector.eq(self.vector + 1)
        with m.If(self.start):
            m.d.sync += [running.eq(1), self.vector.eq(self.instruction.vector)]
        return tags

    def _write(self, m: Module, tag, word, *, writes) -> None:
        """Write the word that comes a cycle after its tag; what leaves comes from registers."""
        target = self._address(m, "target", tag, stride=self.instruction.stride)
        address, mask = Signal.like(self.write.address), Signal.like(self.write.mask)
        places = 1 << target[: exact_log2(len(mask))]
        written = tag.valid & writes
        m.d.sync += [address.eq(Mux(written, target, 0)), mask.eq(Mux(written, places, 0))]
        m.d.comb += [
            self.write.address.eq(address),
            self.write.mask.eq(mask),
            *(element.eq(word) for element in self.write.words),
        ]

    def _address(self, m: Module, operand: str, tag, *, stride) -> Signal:
        """Count words of an operand, from one output with its tag to the next."""
        address = OutputAddress()
        m.submodules[f"{operand}_address"] = address
        m.d.comb += [
            address.start.eq(self.start),
            address.first.eq(self.instruction[operand]),
            address.stride.eq(stride),
            address.step.eq(tag.valid),
            address.ends_segment.eq(tag.ends_segment),
            address.ends_tile.eq(tag.ends_tile),
        ]
        return address.address

    def _shift(self, m: Module, tag) -> DrainShift:
        """Read the words of b, and find multipliers and shifts."""
        m.submodules.shift = shift = DrainShift()
        address = self._address(m, "b", tag, stride=0)
        m.d.comb += [
            self.b.address.eq(address),
            shift.instruction.eq(self.instruction),
            shift.word.eq(read_word(m, self.b)),
            shift.scalars.eq(self.scalars),
        ]
        return shift

    def _sum(self, m: Module, tag, word, written) -> Signal:
        """Add the residual or bias that is asked for now, or nothing; 0 where none is written."""
        is_residual = Signal()
        m.d.sync += is_residual.eq(self.instruction.drain.matches(*ADDING))  # long before
        stride = Mux(self.instruction.drain == Kind.RESIDUAL, self.instruction.stride, 0)
        address = self._address(m, "a", tag, stride=stride)
        with m.If(tag.valid & is_residual):
            m.d.comb += self.a.address.eq(address)
        h = Signal(signed(WORD_BITS), reset_less=True)  # from far, hence held
        m.d.sync += h.eq(Mux(is_residual, read_word(m, self.a), 0))
        total = Signal(signed(WORD_BITS + 1), reset_less=True)
        summed = Signal(signed(WORD_BITS), reset_less=True)
        m.d.sync += [total.eq(h + word), summed.eq(Mux(written, saturated(total), 0))]
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
