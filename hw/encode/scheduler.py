"""Turns events in time order into what the lanes do in each cycle (``docs/arithmetic.md`` §2)."""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.encode.digits import LARGEST
from hw.encode.event import EventSignature, event_layout
from hw.encode.event_memory import replay_layout
from hw.encode.event_sorter import Fired
from hw.encode.slice import Slice
from hw.spec.params import CoreParams

#: Largest number of unit steps, as a power of 2, that pass in one cycle.
LARGEST_SHIFT = 2


class Block(NamedTuple):
    """What the scheduler must know of a block."""

    mantissa: int
    shift: int
    code_sum: int
    events: Sequence[Fired]


class Item(NamedTuple):
    """One cycle of the lanes; see :func:`hw.encode.event.event_layout`.

    Members that mean nothing are 0: ``row`` and ``negative`` of an ``empty`` item, and the block
    where none ends.
    """

    row: int = 0
    negative: bool = False
    empty: bool = True
    gap: bool = False
    gap_shift: int = 0
    restart: bool = False
    times16: bool = False
    ends_group: bool = False
    last_block: bool = False
    mantissa: int = 0
    shift: int = 0
    code_sum: int = 0


def gap_shifts(gap: int) -> list[int]:
    """Shifts by which a gap of unit steps passes, the largest first."""
    whole = [LARGEST_SHIFT] * (gap >> LARGEST_SHIFT)
    return whole + [s for s in reversed(range(LARGEST_SHIFT)) if gap >> s & 1]


def model(blocks: Sequence[Block]) -> list[Item]:
    """Items of a vector."""
    items: list[Item] = []
    level, coarse, times16 = 0, False, False

    def emit(gap: int, item: Item) -> None:
        """Let time pass; the last step of it rides with the item."""
        nonlocal times16
        shifts = gap_shifts(gap)
        riding = {"gap": bool(shifts), "gap_shift": shifts[-1] if shifts else 0}
        run = [Item(gap=True, gap_shift=s) for s in shifts[:-1]] + [item._replace(**riding)]
        items.extend([run[0]._replace(times16=times16), *run[1:]])
        times16 = False

    def close_coarse() -> None:
        nonlocal level, coarse, times16
        if coarse:
            emit(level, Item(restart=True))
            level, coarse, times16 = 0, False, True

    ending = Item(restart=True)
    for number, block in enumerate(blocks):
        close_coarse()
        begins = ending
        for event in block.events:
            item = begins._replace(row=event.row, negative=event.negative, empty=False)
            changes = coarse and not event.coarse
            gap = level if begins.restart or changes else level - event.level
            emit(gap, item._replace(restart=begins.restart or changes))
            level, coarse, times16 = event.level, event.coarse, changes
            begins = Item()
        if not block.events:
            emit(level, begins)
            level = 0
        header = {"mantissa": block.mantissa, "shift": block.shift, "code_sum": block.code_sum}
        last = number + 1 == len(blocks)
        ending = Item(restart=True, ends_group=True, last_block=last, **header)
    close_coarse()
    emit(level, ending)
    return items


class Scheduler(wiring.Component):
    """Offers an item in the cycle after its event, and one in every cycle in which they are taken.

    It knows no table: only differences of levels matter. A block that fires in the coarse window
    alone takes one item more, an ``empty`` one, before the block is complete.

    Parameters
    ----------
    params : CoreParams
        Parameters of a core with the ``spike`` integrator.

    Members
    -------
    events : In(stream)
        See :func:`hw.encode.event_memory.replay_layout`.
    items : Out(stream)
        See :func:`hw.encode.event.event_layout`.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "events": In(stream.Signature(replay_layout(params))),
                "items": Out(EventSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Pass as much time as one cycle allows; fire when the time of the event has come."""
        m = Module()
        event = self.events.p
        m.submodules.slice = offer = Slice(event_layout(self.params))
        connect(m, offer.target, flipped(self.items))
        item = offer.source.p

        begins, flush = Signal(init=1), Signal()  # a block begins; the vector is over
        follows = Signal()  # another block is before it
        coarse, times16 = Signal(), Signal()
        level = Signal(range(LARGEST + 1))
        taken = Signal()  # an event was, in the cycle before
        before, held, ended = (Signal(replay_layout(self.params)) for _ in range(3))

        def passes(steps):
            """Tell whether so much time passes in one cycle."""
            return steps.matches(0, *(1 << shift for shift in range(LARGEST_SHIFT + 1)))

        advance = offer.source.ready
        changes = coarse & (begins | ~event.coarse)
        closes = Signal()  # the coarse window ends, and no fine one follows
        to_event, gap = Signal.like(level), Signal.like(level)
        passed = Signal(range((1 << LARGEST_SHIFT) + 1))
        arrives = Signal()
        consumed = Signal()
        m.d.comb += [
            closes.eq(coarse & begins),
            to_event.eq(level - event.level),
            gap.eq(Mux(begins | changes, level, to_event)),
            arrives.eq(Mux(begins | changes, passes(level), passes(to_event))),
            consumed.eq(arrives & ~closes),
            item.gap.eq(gap != 0),
            self.events.ready.eq(advance & consumed & ~flush),
        ]
        for shift in range(LARGEST_SHIFT + 1):
            larger = gap[shift:] if shift == LARGEST_SHIFT else gap[shift]
            with m.If(larger != 0):
                m.d.comb += [item.gap_shift.eq(shift), passed.eq(1 << shift)]
        m.d.comb += [
            item.row.eq(event.row),
            item.negative.eq(event.negative),
            item.empty.eq(~consumed | flush | event.empty),
            item.restart.eq(arrives & (begins | changes)),
            item.times16.eq(times16),
            item.ends_group.eq(consumed & begins & follows),
            item.last_block.eq(ended.last_block),
            item.mantissa.eq(ended.mantissa),
            item.shift.eq(ended.shift),
            item.code_sum.eq(ended.code_sum),
        ]

        if self.params.shared > 1:
            m.d.comb += [item.level.eq(event.level), item.coarse.eq(event.coarse)]

        # What a block's end takes before the next event does not wait for that.
        offers = self.events.valid | flush | (begins & ~consumed)
        m.d.comb += [
            offer.source.valid.eq(offers),
            ended.eq(Mux(taken, before.as_value(), held.as_value())),  # the last that was taken
        ]
        m.d.sync += [taken.eq(advance & offers & consumed), before.eq(event), held.eq(ended)]
        with m.If(advance & offers):
            m.d.sync += [level.eq(level - passed), times16.eq(0)]
            with m.If(arrives & changes):
                m.d.sync += [coarse.eq(0), times16.eq(1)]
            with m.If(consumed):
                m.d.sync += [
                    level.eq(Mux(event.empty | flush, 0, event.level)),
                    coarse.eq(event.coarse & ~event.empty & ~flush),
                    begins.eq(event.last | flush),
                    follows.eq(~flush),
                    flush.eq(event.last & event.last_block & ~flush),
                ]
        return m
