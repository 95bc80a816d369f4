"""One pass of a radix sort: a stack for every digit."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.spec.codes import BLOCK

STACKS = 16


def model(items: Sequence[tuple[int, object]]) -> list:
    """Payloads of the (key, payload) items by rising key, the last pushed first among equals."""
    return [payload for _, payload in sorted(reversed(items), key=lambda item: item[0])]


class LevelStacks(wiring.Component):
    """Pushes a block while the one before it is popped, each at one item a cycle.

    The items of a stack are linked from the last pushed one down. After ``swap`` at cycle t the
    pushed items come out from cycle t + 2 on, unless they are held.

    Parameters
    ----------
    payload : shape
        What is sorted.

    Members
    -------
    pushed : In(stream)
        A ``key`` 0..15 and a ``payload``, at most 32 between two swaps; always ready.
    swap : In(1)
        What has been pushed, in this cycle too, is to be popped; only while not ``busy``.
    popped : Out(stream)
        Payloads as in :func:`model`.
    busy : Out(1)
        Items are still to be popped.
    """

    def __init__(self, payload):
        self.payload = payload
        item = data.StructLayout({"key": range(STACKS), "payload": payload})
        super().__init__(
            {
                "pushed": In(stream.Signature(item, always_ready=True)),
                "swap": In(1),
                "popped": Out(stream.Signature(payload)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        """Push on one half of the memories, pop from the other."""
        m = Module()
        link_layout = data.StructLayout({"below": range(BLOCK), "bottom": 1})
        m.submodules.tops = tops = Memory(shape=range(BLOCK), depth=2 * STACKS, init=[])
        m.submodules.links = links = Memory(shape=link_layout, depth=2 * BLOCK, init=[])
        m.submodules.payloads = payloads = Memory(shape=self.payload, depth=2 * BLOCK, init=[])
        half = Signal()  # that is pushed to
        m.d.sync += half.eq(half ^ self.swap)

        key = self.pushed.p.key
        count = Signal(range(BLOCK))
        used, used_now = Signal(STACKS), Signal(STACKS)
        below = tops.read_port(domain="comb")
        m.d.comb += [
            below.addr.eq(Cat(key, half)),
            used_now.eq(used | Mux(self.pushed.valid, 1 << key, 0)),
        ]
        m.d.sync += [
            used.eq(Mux(self.swap, 0, used_now)),
            count.eq(Mux(self.swap, 0, count + self.pushed.valid)),
        ]
        # A link is needed 2 cycles after it is found at the earliest: a register shortens its way.
        for domain, memory, address, value in (
            (m.d.comb, tops, key, count),
            (m.d.sync, links, count, Cat(below.data, ~used.bit_select(key, 1))),
            (m.d.comb, payloads, count, self.pushed.p.payload),
        ):
            write = memory.write_port()
            domain += [
                write.addr.eq(Cat(address, half)),
                write.data.eq(value),
                write.en.eq(self.pushed.valid),
            ]

        stacks, some = Signal(STACKS), Signal()  # that have not been begun; there are any
        place = Signal(range(BLOCK))
        top = tops.read_port(domain="comb")
        link = links.read_port(domain="comb")
        found = payloads.read_port(domain="comb")
        m.d.comb += [
            top.addr.eq(Cat(first(stacks), ~half)),
            link.addr.eq(Cat(place, ~half)),
            found.addr.eq(Cat(place, ~half)),
            self.popped.payload.eq(found.data),
            self.busy.eq(self.popped.valid | some),
        ]
        begins = ~self.popped.valid | link.data.bottom
        with m.If(~self.popped.valid | self.popped.ready):
            m.d.sync += place.eq(link.data.below)
            with m.If(begins):
                m.d.sync += [
                    place.eq(top.data),
                    self.popped.valid.eq(some),
                    stacks.eq(stacks & (stacks - 1)),
                    some.eq((stacks & (stacks - 1)).any()),
                ]
        with m.If(self.swap):
            m.d.sync += [stacks.eq(used_now), some.eq(used.any() | self.pushed.valid)]
        return m


def first(flags):
    """Return the number of the lowest flag that is set."""
    if len(flags) == 2:
        return ~flags[0]
    low, high = flags[: len(flags) // 2], flags[len(flags) // 2 :]
    return Cat(Mux(low.any(), first(low), first(high)), ~low.any())
