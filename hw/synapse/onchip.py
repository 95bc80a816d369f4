"""Synapse array on chip: a block RAM that the host fills through a 32-bit window."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.bus.window import WORD, WindowSignature
from hw.division import divide
from hw.spec.params import CoreParams
from hw.synapse.block_ram import BlockRAM
from hw.synapse.port import ReadSignature


class OnChipMemory(wiring.Component):
    """Block RAM of ``memory_beats`` beats with one read port, shared by core and host.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    read : In(ReadSignature)
        The core's reads.
    busy : In(1)
        The core owns the read port; the host may write but not read.
    window : In(WindowSignature)
        The host's words: ``words_per_beat`` of them are a beat, which is written with its last.
        Bits beyond the beat are ignored and read as zero.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "read": In(ReadSignature(params)),
                "busy": In(1),
                "window": In(WindowSignature()),
            }
        )

    def elaborate(self, platform):
        """Join the memory, the window and the port."""
        m = Module()
        params = self._params
        m.submodules.beats = beats = BlockRAM(width=params.beat_bits, depth=params.memory_beats)
        beat, word, inside = self._locate(m)

        collected = Signal((params.words_per_beat - 1) * WORD)
        assembled = Signal(params.words_per_beat * WORD)
        last = word == params.words_per_beat - 1
        m.d.comb += assembled[len(collected) :].eq(self.window.write_data)
        if params.words_per_beat > 1:
            m.d.comb += assembled[: len(collected)].eq(collected)
            with m.If(self.window.write):
                m.d.sync += collected.eq(assembled[WORD:])
        m.d.comb += [
            beats.write_address.eq(beat),
            beats.write_data.eq(assembled),
            beats.write_en.eq(self.window.write & last & inside),
        ]

        padding = Const(0, len(assembled) - params.beat_bits)
        m.d.comb += [
            beats.read_address.eq(Mux(self.busy, self.read.address, beat)),
            beats.read_en.eq(self.read.en | self.read.head_en | ~self.busy),
        ]
        fetched, found = Signal.like(word), Signal.like(word)
        m.d.sync += [
            self.read.data.eq(beats.read_data),
            fetched.eq(word),
            found.eq(fetched),
            self.window.read_data.eq(Cat(self.read.data, padding).word_select(found, WORD)),
        ]
        m.d.comb += [
            self.read.ready.eq(1),
            self.read.head_data.eq(self.read.data),
            self.window.readable.eq((self.window.address < self._words()) & ~self.busy),
            self.window.writable.eq(inside),
        ]
        return m

    def _words(self):
        return self._params.words_per_beat * self._params.memory_beats

    def _locate(self, m):
        """Beat and word of the window's address, one cycle later."""
        params = self._params
        words, size = params.words_per_beat, self._words()
        beat = Signal(range(params.memory_beats))
        word = Signal(range(max(words, 2)))
        inside = Signal()
        quotient, rest = divide(self.window.address[: max((size - 1).bit_length(), 1)], words)
        m.d.sync += [
            beat.eq(quotient),
            word.eq(rest),
            inside.eq(self.window.address < size),
        ]
        return beat, word, inside
