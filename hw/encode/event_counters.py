"""Counts codes by class, and the occupied levels of every block (``docs/arithmetic.md`` §13)."""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.encode import digits
from hw.encode.classifier import Code
from hw.encode.digits import LARGEST_COARSE, split_layout
from hw.spec.params import CoreParams

#: Fine levels are marked in words of this many bits.
WORD = 16


class Counts(NamedTuple):
    """Event counters of one vector."""

    spikes: int
    silent: int
    integer_events: int
    steps: int


def model(blocks: Sequence[Sequence[Code]]) -> Counts:
    """Count the codes of a vector.

    Parameters
    ----------
    blocks : sequence of sequence of Code
        The classified elements, block by block, without padding.
    """
    steps = 0
    for block in blocks:
        for window in zip(*map(digits.model, block), strict=True):
            steps += len({abs(level) for level in window} - {0})
    codes = [code for block in blocks for code in block]
    integers = sum(code.integer for code in codes)
    silent = sum(code.silent for code in codes)
    return Counts(len(codes) - integers - silent, silent, integers, steps)


class EventCounters(wiring.Component):
    """Counts one code a cycle; the counters are right 3 cycles after the last code.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    clear : In(1)
        Sets all counters to 0; no code may be on its way.
    split : In(stream)
        See :func:`hw.encode.digits.split_layout`; always ready.
    spikes, silent, integer_events, steps : Out(32)
        Counters.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "clear": In(1),
                "split": In(stream.Signature(split_layout(), always_ready=True)),
                **{name: Out(32) for name in Counts._fields},
            }
        )

    def elaborate(self, platform):
        """Find levels that are new in their block; count them, and the classes."""
        m = Module()
        split = Signal(self.split.p.shape())
        valid = Signal()
        code = split.code
        m.d.sync += [split.eq(self.split.p), valid.eq(self.split.valid)]
        new_coarse, new_fine = Signal(), Signal()
        classes = Signal(3)
        m.d.sync += [classes.eq(0), new_coarse.eq(0), new_fine.eq(0)]
        with m.If(valid):
            m.d.sync += [
                classes.eq(1 << Mux(code.silent, 1, Mux(code.integer, 2, 0))),
                new_coarse.eq(self._new_coarse(m, split)),
                new_fine.eq(self._new_fine(m, split, valid)),
            ]

        elements = range(self.params.max_inputs + 1)
        for i, name in enumerate(("spikes", "silent", "integer_events")):
            counter = Signal(elements, name=f"{name}_counter")
            m.d.sync += counter.eq(Mux(self.clear, 0, counter + classes[i]))
            m.d.comb += getattr(self, name).eq(counter)
        counter = Signal(range(2 * self.params.max_inputs + 1), name="steps_counter")
        m.d.sync += counter.eq(Mux(self.clear, 0, counter + (new_coarse + new_fine)))
        m.d.comb += self.steps.eq(counter)
        return m

    def _new_coarse(self, m, split):
        """Mark the coarse level; level 0 counts as seen from the start."""
        level, last = split.coarse, split.code.place.last
        seen = Signal(LARGEST_COARSE + 1, init=1)
        m.d.sync += seen.eq(Mux(last, 1, seen | (1 << level)))
        return ~seen.bit_select(level, 1)

    def _new_fine(self, m, split, valid):
        """Mark the fine level in a memory of words, of which those in use are known."""
        level, last = split.fine, split.code.place.last
        m.submodules.words = words = Memory(shape=WORD, depth=WORD, init=[])
        read, write = words.read_port(domain="comb"), words.write_port()
        used = Signal(WORD)
        high, low = level[4:], level[:4]
        word = Signal(WORD)
        m.d.comb += [
            read.addr.eq(high),
            word.eq(Mux(used.bit_select(high, 1), read.data, 0)),
            write.addr.eq(high),
            write.data.eq(word | (1 << low)),
            write.en.eq(valid),
        ]
        m.d.sync += used.eq(Mux(last, 0, used | (1 << high)))
        seen = used.bit_select(high, 1) & read.data.bit_select(low, 1)
        return (level != 0) & ~seen
