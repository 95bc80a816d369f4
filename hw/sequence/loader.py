"""Executes LOAD (``docs/program.md``): numbers from device memory become words."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.burst_reader import BurstReader
from hw.bus.forget import forgetful
from hw.encode.slice import Slice
from hw.sequence.load_bursts import LoadBursts, block_beats, place_layout
from hw.spec.axi4 import LOAD_DEPTH
from hw.spec.params import CoreParams
from hw.synapse.external import axi_signature
from hw.vector.memory import WriteSignature
from hw.vector.step import step_members


class Loader(wiring.Component):
    """Takes a number a cycle out of the beats that come, and writes full beats of words.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; ``vector_words`` must not be 0.
    domain : str
        Clock domain of ``draining``; see :func:`hw.bus.forget.forget`.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`; ``start`` not while ``draining``.
    origin : In(32)
        Byte address of the first number, as stable as the instruction.
    write : Out(WriteSignature)
        Words; driven with 0 where ``granted`` is low.
    granted : In(1)
        A write may happen in this cycle; must not depend on ``write``.
    axi : Out(AXI4ReadSignature)
        Device memory; its data never wait.
    abort : In(1)
        Forget the instruction.
    draining : Out(1)
        Data of a forgotten instruction are awaited.
    failed : Out(1)
        The instruction has met an error response, and its data have been awaited; pulses instead
        of ``done``.
    """

    def __init__(self, params: CoreParams, *, domain: str = "sync"):
        self._params, self._domain = params, domain
        self._wide, self._nibbles = Signal(), Signal()
        super().__init__(
            {
                **step_members(),
                "origin": In(32),
                "write": Out(WriteSignature(params)),
                "granted": In(1),
                "axi": Out(axi_signature(params)),
                "abort": In(1),
                "draining": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join bursts, bus, and the numbers' way."""
        m = Module()
        params = self._params
        addresses = LoadBursts(params)
        m.submodules.addresses = self._forgets(addresses)
        m.submodules.reader = reader = BurstReader(
            params, longest=block_beats(params), depth=LOAD_DEPTH, domain=self._domain
        )
        # As many as beats, so there is always room; one of them is the output register.
        places = SyncFIFOBuffered(width=place_layout(params).size, depth=LOAD_DEPTH + 1)
        m.submodules.places = self._forgets(places)
        connect(m, flipped(self.axi), reader.axi)
        m.submodules.pending = pending = self._forgets(Slice(addresses.bursts.payload.shape()))
        connect(m, addresses.bursts, pending.source)
        bursts = pending.target
        placed, place = Signal(), Signal.like(bursts.p.place, reset_less=True)
        # Registers, as the instruction comes from far; it is there before it starts.
        m.d.sync += [
            self._wide.eq(self.instruction.size == 2),
            self._nibbles.eq(self.instruction.nibbles),
        ]
        m.d.comb += [
            addresses.start.eq(self.start),
            addresses.instruction.eq(self.instruction),
            addresses.count.eq(self.count),
            addresses.origin.eq(self.origin),
            reader.abort.eq(self.abort),
            self.draining.eq(reader.draining),
            self.failed.eq(reader.failed),
            reader.bursts.valid.eq(bursts.valid),
            reader.bursts.p.address.eq(bursts.p.address),
            reader.bursts.p.length.eq(bursts.p.length),
            bursts.ready.eq(reader.bursts.ready),
            places.w_en.eq(placed),
            places.w_data.eq(place),
        ]
        # A cycle later, and still before the first beat: a burst is taken late in a cycle.
        m.d.sync += [placed.eq(bursts.valid & bursts.ready), place.eq(bursts.p.place)]
        with m.If(self.draining):
            m.d.sync += placed.eq(0)
        m.submodules.come = come = self._forgets(Slice(reader.beats.payload.shape()))
        connect(m, reader.beats, come.source)
        ready = Signal()
        m.submodules.next_place = next_place = self._forgets(Slice(place_layout(params)))
        m.d.comb += [
            next_place.source.valid.eq(places.r_rdy),
            next_place.source.payload.eq(places.r_data),
            places.r_en.eq(next_place.source.ready),
        ]
        found, pair, odd = self._take_apart(m, come.target, next_place.target, ready)
        self._collect(m, found, self._extend(pair, odd), ready)
        return m

    def _forgets(self, part):
        return forgetful(part, self.draining, self._domain)

    def _take_apart(self, m, beats, places, ready):
        """Find the next number's place in the beat; keep the pair of bytes that it is in."""
        wide = self._wide
        final = self._params.axi_data_width // 8 - 1
        # The beat that numbers are taken from; the places of the next and of the last in it, and
        # whether they are the same.
        octets, ends = Signal.like(beats.p.data, reset_less=True), Signal()
        at, end = (Signal.like(places.p.last, name=name, reset_less=True) for name in ("at", "end"))
        following, first, last = (
            Signal.like(at, name=name) for name in ("following", "first", "last")
        )
        held, within, free, taken = Signal(), Signal(), Signal(), Signal()
        found, pair, odd = Signal(), Signal(16, reset_less=True), Signal(reset_less=True)
        m.d.comb += [
            following.eq(at + Mux(wide, 2, 1)),
            first.eq(Mux(within, 0, places.p.first)),
            last.eq(Mux(beats.p.last, places.p.last, final)),
            taken.eq(held & (ready | ~found)),
            free.eq(~held | (taken & ends)),
            beats.ready.eq(free & places.valid),
            places.ready.eq(free & beats.valid & beats.p.last),
        ]
        with m.If(taken):
            m.d[self._domain] += [
                at.eq(following),
                ends.eq((following | wide) == end),
                pair.eq(octets.word_select(at[1:], 16)),
                odd.eq(at[0]),
            ]
        with m.If(free):
            m.d[self._domain] += [
                held.eq(beats.valid & places.valid),
                octets.eq(beats.p.data),
                at.eq(first),
                end.eq(last),
                ends.eq((first | wide) == last),
            ]
        with m.If(free & beats.valid & places.valid):
            m.d[self._domain] += within.eq(~beats.p.last)
        with m.If(ready | ~found):
            m.d[self._domain] += found.eq(taken)
        with m.If(self.draining):
            m.d[self._domain] += [found.eq(0), held.eq(0), within.eq(0)]
        return found, pair, odd

    def _extend(self, pair, odd):
        """Return the number as a signed value."""
        octet = pair.word_select(odd, 8) ^ (self._nibbles << 3)
        return Mux(self._wide, pair, Cat(octet, octet[-1].replicate(8))).as_signed()

    def _collect(self, m, found, number, ready):
        """Gather words, and write them when their beat is complete."""
        width = self._params.vector_width
        words = Signal(self.write.words.shape(), reset_less=True)
        mask, full, final = Signal(width), Signal(), Signal()
        address, rest = (Signal(16, name=name, reset_less=True) for name in ("address", "rest"))
        slot = Signal(range(width))
        written = Signal()
        beat = data.StructLayout({"address": 16, "words": words.shape(), "mask": width, "final": 1})
        # What makes beats must not wait for `granted` itself, which comes from far.
        between = SyncFIFO(width=beat.size, depth=2)
        m.submodules.between = self._forgets(between)
        kept = beat(between.r_data)
        leaves = between.r_rdy & self.granted
        m.d.comb += [
            between.w_en.eq(full),
            between.w_data.eq(Cat(address, words, mask, final)),
            written.eq(full & between.w_rdy),
            ready.eq(written | ~full),
            between.r_en.eq(leaves),
        ]
        with m.If(leaves):
            m.d.comb += [
                self.write.address.eq(kept.address),
                self.write.words.eq(kept.words),
                self.write.mask.eq(kept.mask),
            ]
        with m.If(written):
            m.d[self._domain] += [full.eq(0), mask.eq(0), address.eq(address + width)]
        with m.If(found & ready):
            with m.If(written):
                m.d[self._domain] += mask.eq(1)
            with m.Else():
                m.d[self._domain] += mask.eq(mask | 1 << slot)
            m.d[self._domain] += [
                words[slot].eq(number),
                slot.eq(slot + 1),
                rest.eq(rest - 1),
                final.eq(rest == 0),
                full.eq((slot == width - 1) | (rest == 0)),
            ]
        m.d[self._domain] += self.done.eq(leaves & kept.final & ~self.abort)
        with m.If(self.start | self.draining):
            m.d[self._domain] += [
                full.eq(0),
                final.eq(0),
                mask.eq(0),
                slot.eq(0),
                self.done.eq(0),
                rest.eq(self.count - 1),
                address.eq(self.instruction.target),
            ]
