"""Makes an instruction ready to run: what depends on the token, and whether it can run."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.compare import above
from hw.register import plain_register
from hw.sequence.layout import instruction_layout, is_wide
from hw.sequence.offset import ADDRESS_BITS, INDEX_BITS, Offset
from hw.spec.codes import BLOCK
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Opcode

#: Opcodes by what they have: runs or heads of ``inner``; a second operand as long as the first.
WITH_INNER = (Opcode.LOAD, Opcode.ROTATE, Opcode.KEEP, Opcode.SUM)
WITH_SECOND = (Opcode.NORM, Opcode.GATE, Opcode.MATVEC, Opcode.SOFTMAX, Opcode.LAYER_NORM)

#: Opcodes with a third operand, and those that name one encoded vector.
WITH_THIRD = (Opcode.EMBED, Opcode.ROTATE, Opcode.LAYER_NORM)
WITH_VECTOR = (
    *(Opcode.NORM, Opcode.NORMALIZE, Opcode.GATE, Opcode.GELU),
    *(Opcode.SOFTMAX, Opcode.ENCODE),
)

#: Opcodes without a count.
UNCOUNTED = (Opcode.END, Opcode.ENCODE)


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
    takes : In(1)
        Take over what is offered; also in the cycle of ``start``.
    start : In(1)
        Take ``instruction``; pulses, only while ``busy`` is low.
    instruction : In
        See :func:`hw.sequence.layout.instruction_layout`.
    token, position : In(20), In(16)
        What the program is run for; stable.
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
                **dict.fromkeys(("takes", "start"), In(1)),
                "instruction": In(instruction_layout()),
                "token": In(INDEX_BITS),
                "position": In(16),
                "task": Out(task_layout()),
                "malformed": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        """Resolve counts; measure operands; add strides; judge."""
        m = Module()
        m.submodules.offset = offset = Offset()
        task, given = plain_register(m, self.task), self.instruction
        held = task.instruction
        position, length = Signal(17), Signal(17)
        place = Signal.like(position, reset_less=True)
        m.d.comb += [
            position.eq(self.position + given.ahead),
            length.eq(position + 1),
            offset.start.eq(self.start),
            offset.shift.eq(given.shift),
            offset.stride_high.eq(given.stride_high),
            offset.stride_low.eq(given.stride_low),
        ]
        with m.Switch(given.index):
            with m.Case(Index.TOKEN):
                m.d.comb += offset.index.eq(self.token)
            with m.Case(Index.POSITION):
                m.d.comb += offset.index.eq(position)

        settling = Signal(4)
        raised = Signal(18, reset_less=True)
        with m.If(self.takes):
            m.d.sync += [
                held.eq(given),
                held.count.eq(Mux(given.count_by_position, length, given.count)),
                held.inputs.eq(Mux(given.inputs_by_position, length, given.inputs)),
                held.tiles.eq(given.tiles),
                place.eq(position),
            ]
        with m.If(settling[1] & held.tiles_by_position):
            m.d.sync += held.tiles.eq(raised >> held.shift)
        m.d.sync += [
            settling.eq(settling << 1 | self.start),
            raised.eq(place + 1 + ((1 << held.shift) - 1)[:17]),
            task.origin.eq(held.address + offset.offset),
            task.mantissa_origin.eq(held.mantissas + offset.offset),
            task.scale_address.eq(held.scales + (place << 1)),
        ]
        adding = Signal()
        m.d.sync += adding.eq(offset.busy)
        m.d.comb += self.busy.eq(settling.any() | offset.busy | adding)
        product = self._multiply(m, given)
        fits, suits = self._measure(m, held, product), self._judge(m, held)
        m.d.sync += self.malformed.eq((held.opcode != Opcode.END) & ~(fits.all() & suits.all()))
        return m

    def _multiply(self, m, given):
        """Multiply for the words that are more than ``count``: of heads, vectors or rows."""
        factors = [Signal(16, name=f"factor_{i}", reset_less=True) for i in range(2)]
        product = Signal(32, reset_less=True)
        with m.If(self.takes):
            with m.Switch(given.opcode):
                with m.Case(Opcode.ROTATE):
                    values = given.count, given.inner
                    m.d.sync += [factor.eq(v) for factor, v in zip(factors, values, strict=True)]
                with m.Case(Opcode.MATVEC):
                    values = given.vectors - 1, given.stride
                    m.d.sync += [factor.eq(v) for factor, v in zip(factors, values, strict=True)]
                with m.Case(Opcode.SUM):
                    values = given.inner - 1, given.stride
                    m.d.sync += [factor.eq(v) for factor, v in zip(factors, values, strict=True)]
                with m.Default():
                    m.d.sync += [factor.eq(0) for factor in factors]
        m.d.sync += product.eq(factors[0] * factors[1])
        return product

    def _measure(self, m, held, product):
        """Compare the ends of the operands with the memory's, behind three registers."""
        words = self.params.vector_words
        opcode = held.opcode
        rotates, multiplies = opcode == Opcode.ROTATE, opcode == Opcode.MATVEC
        # Words behind the ends, where one head has no words, and one vector is multiplied.
        rest = {
            name: Signal(signed(18), name=f"rest_{name}", reset_less=True)
            for name in ("a", "b", "c", "target")
        }
        first, second, third, written, c = (
            Signal(16, name=name, reset_less=True)
            for name in ("first", "second", "third", "written", "c")
        )
        m.d.sync += [
            first.eq(Mux(rotates, 0, held.count)),
            second.eq(1),
            third.eq(0),
            written.eq(Mux(rotates, 1, held.count)),
            c.eq(Mux(opcode.matches(*WITH_THIRD), held.c, 0)),
        ]
        with m.Switch(opcode):
            with m.Case(*WITH_SECOND):
                m.d.sync += second.eq(held.count)
            with m.Case(Opcode.EMBED):
                m.d.sync += [second.eq((held.count + BLOCK - 1) >> exact_log2(BLOCK)), third.eq(1)]
            with m.Case(Opcode.ROTATE):
                m.d.sync += [second.eq(held.inner), third.eq(held.inner)]
        if self.params.encoder:
            with m.If(opcode == Opcode.LAYER_NORM):
                m.d.sync += third.eq(held.count)
        m.d.sync += [
            rest["a"].eq(words - held.a - first),
            rest["b"].eq(words - held.b - second),
            rest["c"].eq(words - c - third),
            rest["target"].eq(words - held.target - written),
        ]
        turns, targets, adds = Signal(), Signal(), Signal()  # as early as the product
        added = multiplies & (held.drain == Drain.RESIDUAL)
        if self.params.encoder:
            added |= opcode == Opcode.SUM
        m.d.sync += [turns.eq(rotates), targets.eq(multiplies), adds.eq(added)]
        several = Signal.like(product, name="several", reset_less=True)
        more = Signal(len(product) + 1, reset_less=True)
        m.d.sync += [
            several.eq(Mux(targets, product, 0)),
            more.eq(Mux(turns, product << 1, Mux(adds, product, 0))),
        ]
        fits = Signal(4)
        m.d.sync += fits.eq(
            Cat(
                ~above(Cat(more, Const(0)), rest["a"]),
                rest["b"] >= 0,
                rest["c"] >= 0,
                ~above(Cat(several, Const(0)), rest["target"]),
            )
        )
        return fits

    def _judge(self, m, held):
        """Compare with the limits of the opcode, behind a register."""
        opcode, batch = held.opcode, self.params.batch
        mode_shifts = [exact_log2(f.outputs(self.params.tile_lanes)) for f in (W4, W8)]
        outputs = Signal(32)
        m.d.comb += outputs.eq(
            Mux(is_wide(held), held.tiles << mode_shifts[1], held.tiles << mode_shifts[0])
        )
        one, some = held.vectors == 1, held.vectors != 0
        multiplies = (
            (held.count <= outputs)
            & (held.drain <= (max(Drain) if self.params.encoder else Drain.LOGITS))
            & Mux(held.drain == Drain.LOGITS, one, some)
            & (held.vector + held.vectors <= batch)
        )
        suits = Signal(6)
        m.d.sync += suits.eq(
            Cat(
                opcode <= (max(Opcode) if self.params.encoder else Opcode.ENCODE),
                (held.count != 0) | opcode.matches(*UNCOUNTED),
                (held.inner != 0) | ~opcode.matches(*WITH_INNER),
                (held.size == 1) | (held.size == 2) | (opcode != Opcode.LOAD),
                Mux(opcode == Opcode.MATVEC, multiplies, 1),
                (held.vector < batch) | ~opcode.matches(*WITH_VECTOR),
            )
        )
        return suits
