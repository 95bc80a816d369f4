"""Makes an instruction ready to run: what depends on the token, and whether it can run."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.sequence.layout import instruction_layout, is_wide
from hw.sequence.offset import ADDRESS_BITS, INDEX_BITS, Offset
from hw.spec.codes import BLOCK
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Opcode

#: Opcodes by what they have: runs or heads of ``inner``; a second operand as long as the first.
WITH_INNER = (Opcode.LOAD, Opcode.ROTATE, Opcode.KEEP)
WITH_SECOND = (Opcode.NORM, Opcode.GATE, Opcode.MATVEC, Opcode.SOFTMAX)


def task_layout() -> data.StructLayout:
    """Return the layout of an instruction that is ready to run.

    Members
    -------
    instruction : struct
        With ``inputs``, ``tiles`` and ``count`` as they are for this token.
    origin, mantissa_origin, scale_address : unsigned(32)
        Byte addresses, moved by token or position.
    """
    addresses = dict.fromkeys(("origin", "mantissa_origin", "scale_address"), ADDRESS_BITS)
    return data.StructLayout({"instruction": instruction_layout(), **addresses})


class Decode(wiring.Component):
    """Resolves one instruction after the other.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start : In(1)
        Take ``instruction``; pulses, only while ``busy`` is low.
    instruction : In
        See :func:`hw.sequence.layout.instruction_layout`.
    token, position : In(20), In(16)
        What the program is run for; stable.
    encoded : In(16)
        Inputs of the vector that is encoded, 0 if none is; what a MATVEC may reuse.
    task : Out(struct)
        See :func:`task_layout`; right once ``busy`` is low.
    malformed : Out(1)
        It cannot run; right as soon.
    busy : Out(1)
        From the cycle after ``start``, for at most 24 cycles.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "token": In(INDEX_BITS),
                "position": In(16),
                "encoded": In(16),
                "task": Out(task_layout()),
                "malformed": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        """Resolve counts; measure operands; add strides; judge."""
        m = Module()
        m.submodules.offset = offset = Offset()
        task, given = self.task, self.instruction
        held = task.instruction
        length = Signal(17)
        m.d.comb += [
            length.eq(self.position + 1),
            offset.start.eq(self.start),
            offset.shift.eq(given.shift),
            offset.stride_high.eq(given.stride_high),
            offset.stride_low.eq(given.stride_low),
        ]
        with m.Switch(given.index):
            with m.Case(Index.TOKEN):
                m.d.comb += offset.index.eq(self.token)
            with m.Case(Index.POSITION):
                m.d.comb += offset.index.eq(self.position)

        settling = Signal(4)
        raised = Signal(18)
        with m.If(self.start):
            m.d.sync += [
                held.eq(given),
                held.count.eq(Mux(given.count_by_position, length, given.count)),
                held.inputs.eq(Mux(given.inputs_by_position, length, given.inputs)),
                held.tiles.eq(given.tiles),
            ]
        with m.If(settling[1] & held.tiles_by_position):
            m.d.sync += held.tiles.eq(raised >> held.shift)
        m.d.sync += [
            settling.eq(settling << 1 | self.start),
            raised.eq(length + ((1 << held.shift) - 1)[:17]),
            task.origin.eq(held.address + offset.offset),
            task.mantissa_origin.eq(held.mantissas + offset.offset),
            task.scale_address.eq(held.scales + (self.position << 1)),
        ]
        adding = Signal()
        m.d.sync += adding.eq(offset.busy)
        m.d.comb += self.busy.eq(settling.any() | offset.busy | adding)
        self._judge(m, held)
        return m

    def _judge(self, m, held):
        """Compare with the limits, behind three registers."""
        words = self.params.vector_words
        opcode = held.opcode
        heads, extent, written = Signal(33), Signal(34), Signal(16)
        m.d.sync += [
            heads.eq(held.count * held.inner << 1),
            extent.eq(Mux(opcode == Opcode.ROTATE, heads, held.count)),
            written.eq(Mux(opcode == Opcode.ROTATE, 1, held.count)),
        ]
        fits = Signal(4)
        second, third = Signal(16), Signal(16)
        m.d.sync += [second.eq(1), third.eq(1)]
        with m.Switch(opcode):
            with m.Case(*WITH_SECOND):
                m.d.sync += second.eq(held.count)
            with m.Case(Opcode.EMBED):
                m.d.sync += second.eq((held.count + BLOCK - 1) >> exact_log2(BLOCK))
            with m.Case(Opcode.ROTATE):
                m.d.sync += [second.eq(held.inner), third.eq(held.inner)]
        m.d.sync += fits.eq(
            Cat(
                held.a + extent <= words,
                held.b + second <= words,
                held.c + third <= words,
                held.target + written <= words,
            )
        )

        outputs = Signal(32)
        tile = self.params.tile_lanes
        shifts = [exact_log2(f.outputs(tile)) for f in (W4, W8)]
        m.d.comb += outputs.eq(Mux(is_wide(held), held.tiles << shifts[1], held.tiles << shifts[0]))
        known, shaped, drained = Signal(), Signal(), Signal()
        m.d.sync += [
            known.eq(opcode <= max(Opcode)),
            shaped.eq(
                (held.count != 0)
                & (~opcode.matches(*WITH_INNER) | (held.inner != 0))
                & ((opcode != Opcode.LOAD) | (held.size == 1) | (held.size == 2))
            ),
            drained.eq(
                (opcode != Opcode.MATVEC)
                | (
                    (held.count <= outputs)
                    & (held.drain <= max(Drain))
                    & (~held.reuse | ((held.inputs == self.encoded) & (held.inputs != 0)))
                )
            ),
            self.malformed.eq(~known | ((opcode != Opcode.END) & ~(shaped & drained & fits.all()))),
        ]
