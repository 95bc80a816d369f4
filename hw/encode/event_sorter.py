"""Puts the events of a block in the order of their time steps (``docs/arithmetic.md`` §2)."""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode import digits, level_stacks
from hw.encode.classifier import Code
from hw.encode.digits import LARGEST, split_layout
from hw.encode.level_stacks import LevelStacks
from hw.spec.codes import BLOCK


class Fired(NamedTuple):
    """An event in its window; see :func:`fired_layout`."""

    row: int
    coarse: bool
    negative: bool
    level: int


def model(block: Sequence[Code]) -> list[Fired]:
    """Events of one block: digits hi, then the fine window; the highest level first.

    Rows of the same level fall in the coarse window and rise in the fine one.
    """
    split = [digits.model(code) for code in block]
    coarse = [Fired(row, True, s.coarse < 0, abs(s.coarse)) for row, s in enumerate(split)]
    fine = [Fired(row, False, s.fine < 0, abs(s.fine)) for row, s in enumerate(split)]
    first = level_stacks.model([(16 - event.level, event) for event in coarse if event.level])
    once = level_stacks.model([(event.level & 15, event) for event in fine if event.level])
    return first + level_stacks.model([(15 - (event.level >> 4), event) for event in once])


def fired_layout() -> data.StructLayout:
    """One event without its block: row, window, polarity and level."""
    return data.StructLayout(
        {"row": range(BLOCK), "coarse": 1, "negative": 1, "level": range(LARGEST + 1)}
    )


class EventSorter(wiring.Component):
    """Sorts by levels of 8 bits in two passes, and coarse levels in one.

    Three things go on at once, in slots: a block is split on the stacks; the one before it goes
    from the first pass to the second; and what is ready fires, at one event a cycle: the fine
    window of the block before that, then the coarse window of the one before. All change to the
    next block together, when the last of them is done: see
    :func:`hw.spec.encoder_cycles.sort_cycles`.

    Members
    -------
    split : In(stream)
        See :func:`hw.encode.digits.split_layout`. Not ready when a complete block must wait. After
        a vector's last code, nothing may come until ``busy`` is low.
    fired : Out(stream)
        Events; see :func:`fired_layout`; must always be accepted.
    complete : Out(1)
        All events of one more block have been fired, in earlier cycles; pulses.
    busy : Out(1)
        Events of complete blocks are still to come.
    """

    split: In(stream.Signature(split_layout()))
    fired: Out(stream.Signature(fired_layout(), always_ready=True))
    complete: Out(1)
    busy: Out(1)

    def elaborate(self, platform):
        """Distribute the digits; pass on; fire; change blocks."""
        m = Module()
        event = fired_layout()
        m.submodules.coarse = coarse = LevelStacks(event)
        m.submodules.low = low = LevelStacks(event)
        m.submodules.high = high = LevelStacks(event)

        split = self.split.p
        taken = self.split.valid & self.split.ready
        for stacks, name, key in (
            (coarse, "coarse", 16 - split.coarse),
            (low, "fine", split.fine[:4]),
        ):
            level = getattr(split, name)
            pushed = stacks.pushed.p
            m.d.comb += [
                pushed.key.eq(key),
                pushed.payload.row.eq(split.code.place.row),
                pushed.payload.coarse.eq(name == "coarse"),
                pushed.payload.negative.eq(getattr(split, f"{name}_negative")),
                pushed.payload.level.eq(level),
                stacks.pushed.valid.eq(taken & (level != 0)),
            ]
        m.d.comb += [
            high.pushed.p.key.eq(~low.popped.p.level[4:]),
            high.pushed.p.payload.eq(low.popped.p),
            high.pushed.valid.eq(low.popped.valid),
            low.popped.ready.eq(1),
            high.popped.ready.eq(1),
            coarse.popped.ready.eq(~high.busy),
            self.fired.valid.eq(high.popped.valid | (coarse.popped.valid & ~high.busy)),
            self.fired.payload.eq(high.popped.payload),
        ]
        with m.If(~high.busy):
            m.d.comb += self.fired.payload.eq(coarse.popped.payload)

        # A vector's last slots have no block to split.
        waits = Signal()  # the block that is split has ended
        between = Signal(init=1)  # no block is being split
        passing = Signal()  # a block is between its passes
        firing = Signal()  # the fine window of a block fires
        ends = taken & split.code.place.last
        full = waits | ends
        idle = ~(coarse.busy | low.busy | high.busy)
        swap = Signal()
        m.d.comb += [
            self.split.ready.eq(~waits),
            swap.eq(idle & (full | (between & ~self.split.valid & passing))),
            self.complete.eq(firing & ~high.busy),
            self.busy.eq(full | ~idle | passing | firing),
            *(stacks.swap.eq(swap) for stacks in (coarse, low, high)),
        ]
        m.d.sync += waits.eq(full & ~swap)
        with m.If(taken):
            m.d.sync += between.eq(split.code.place.last)
        with m.If(self.complete):
            m.d.sync += firing.eq(0)
        with m.If(swap):
            m.d.sync += [passing.eq(full), firing.eq(passing)]
        return m
