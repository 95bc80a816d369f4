"""Appends a head of keys or values to its cache (``docs/program.md``, KEEP)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.slice import Slice
from hw.sequence.storer import octet_layout
from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.vector import cache_bytes, cache_code, cache_scale
from hw.vector.beat import WORD_BITS
from hw.vector.cache_bytes import ADDRESS_BITS, CacheBytes
from hw.vector.cache_code import CODE_BITS, CacheCode
from hw.vector.cache_scale import CacheScale
from hw.vector.memory import READ_LATENCY, ReadSignature
from hw.vector.single import read_word
from hw.vector.step import step_members

#: Codes that may be on their way or wait to be taken: enough for one a cycle.
_WAITING = 16


def model(
    words: Sequence[int],
    instruction: Instruction,
    *,
    origin: int,
    mantissa_origin: int,
    scale_address: int,
) -> list[tuple[int, int]]:
    """Execute the instruction.

    Parameters
    ----------
    words : sequence of int
        All of vector memory.
    instruction : Instruction
        KEEP.
    origin, mantissa_origin, scale_address : int
        Byte addresses of the first code, of the first run's mantissa, and of the scale.

    Returns
    -------
    list of tuple of int
        Addresses and bytes, in the order in which they are sent.
    """
    head = words[instruction["a"] : instruction["a"] + instruction["count"]]
    scale = cache_scale.model(head)
    sent = cache_bytes.model(
        cache_code.model(head, scale),
        scale.mantissa,
        scale.exponent,
        instruction,
        origin=origin,
        mantissa_origin=mantissa_origin,
        scale_address=scale_address,
    )
    return list(sent)


class Keep(wiring.Component):
    """Reads a head twice: for its scale by whole beats, for its codes a word a cycle.

    See :func:`hw.spec.token_cycles.keep_cycles`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`; ``done`` when all bytes are stored.
    a : Out(ReadSignature)
        The head.
    origin, mantissa_origin, scale_address : In(32)
        Byte addresses of the first code, of the first run's mantissa, and of the scale; as stable
        as the instruction.
    octets : Out(stream)
        Bytes for device memory: see :func:`hw.sequence.storer.octet_layout`.
    stored : In(1)
        All bytes that have been taken are in memory; low from the cycle after one is taken.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                **step_members(),
                "a": Out(ReadSignature(params)),
                "origin": In(ADDRESS_BITS),
                "mantissa_origin": In(ADDRESS_BITS),
                "scale_address": In(ADDRESS_BITS),
                "octets": Out(stream.Signature(octet_layout())),
                "stored": In(1),
            }
        )

    def elaborate(self, platform):
        """Read for the scale; read for the codes, as many as have room behind."""
        m = Module()
        width = self.params.vector_width
        m.submodules.measurer = measurer = CacheScale(width=width)
        m.submodules.coder = coder = CacheCode()
        m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=CODE_BITS, depth=_WAITING)
        m.submodules.sender = sender = CacheBytes()
        # Both of these ways are long, and nothing waits for the cache.
        m.submodules.codes = codes = Slice(signed(CODE_BITS))
        m.submodules.octets = octets = Slice(octet_layout())

        address, remaining = Signal.like(self.a.address), Signal.like(self.count)
        measures, asks, last = Signal(), Signal(), Signal()
        room = Signal(range(_WAITING + 1), init=_WAITING)
        step = Mux(measures, width, 1)
        m.d.comb += last.eq(remaining <= step)
        m.d.sync += room.eq(room - asks + (waiting.r_en & waiting.r_rdy))
        m.d.sync += self.a.address.eq(0)
        with m.If(measures | asks):
            m.d.sync += self.a.address.eq(address)
            m.d.sync += [address.eq(address + step), remaining.eq(remaining - step)]
        with m.If(self.start | measurer.scale.valid):
            m.d.sync += [address.eq(self.instruction.a), remaining.eq(self.count)]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.next = "SCALE"
            with m.State("SCALE"):
                m.d.comb += measures.eq(1)
                with m.If(last):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(measurer.scale.valid):
                    m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += asks.eq(room != 0)
                with m.If(asks & last):
                    m.next = "IDLE"

        layout = {"measures": 1, "codes": 1, "count": range(width + 1), "last": 1}
        stages = range(READ_LATENCY + 3)
        tags = [Signal(data.StructLayout(layout), name=f"read_{stage}") for stage in stages]
        words, word = Signal.like(self.a.words), Signal(signed(WORD_BITS))
        m.d.comb += [
            tags[0].measures.eq(measures),
            tags[0].codes.eq(asks),
            tags[0].count.eq(Mux(last, remaining, width)),
            tags[0].last.eq(last),
        ]
        m.d.sync += [
            words.eq(self.a.words),
            word.eq(read_word(m, self.a)),
            *(after.eq(before) for before, after in zip(tags, tags[1:], strict=False)),
        ]
        m.d.comb += [
            measurer.words.valid.eq(tags[-1].measures),
            measurer.words.p.elements.eq(words),
            measurer.words.p.count.eq(tags[-1].count),
            measurer.words.p.last.eq(tags[-1].last),
            coder.words.valid.eq(tags[-1].codes),
            coder.words.payload.eq(word),
            coder.scale.eq(measurer.scale.payload),
            waiting.w_en.eq(coder.codes.valid),
            waiting.w_data.eq(coder.codes.payload),
        ]

        for name in ("instruction", "count", "origin", "mantissa_origin", "scale_address"):
            m.d.comb += getattr(sender, name).eq(getattr(self, name))
        m.d.comb += [
            sender.start.eq(self.start),
            sender.stored.eq(self.stored & ~octets.target.valid),
            self.done.eq(sender.done),
            codes.source.valid.eq(waiting.r_rdy),
            codes.source.payload.eq(waiting.r_data),
            waiting.r_en.eq(codes.source.ready),
            sender.mantissa.eq(measurer.scale.p.mantissa),
            sender.exponent.eq(measurer.scale.p.exponent),
        ]
        wiring.connect(m, codes.target, sender.codes)
        wiring.connect(m, sender.octets, octets.source)
        wiring.connect(m, octets.target, wiring.flipped(self.octets))
        return m
