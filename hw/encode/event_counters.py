"""Counts codes by class, and the occupied levels of every block (``docs/arithmetic.md`` §13)."""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.classifier import STEPS, Code, code_layout
from hw.spec.codes import digits
from hw.spec.params import CoreParams

LARGEST = (1 << CoreParams.code_width - 1) - 1
LARGEST_COARSE, _ = digits(LARGEST, masked=False)
LARGEST_FINE = 8


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
        split = [digits(abs(code.value), masked=False) for code in block if code.integer]
        levels = {abs(code.value) for code in block if not code.integer}
        steps += len({hi for hi, _ in split} - {0})
        steps += len((levels | {abs(lo) for _, lo in split}) - {0})
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
    classified : In(stream)
        See :func:`hw.encode.classifier.code_layout`; always ready.
    spikes, silent, integer_events, steps : Out(32)
        Counters.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "clear": In(1),
                "classified": In(stream.Signature(code_layout(), always_ready=True)),
                **{name: Out(32) for name in Counts._fields},
            }
        )

    def elaborate(self, platform):
        """Split integers into digits; find levels that are new in their block; count them."""
        m = Module()
        code = self.classified.p

        magnitude = Signal(range(LARGEST + 1))
        hi = Signal(range(LARGEST_COARSE + 1))
        m.d.comb += [magnitude.eq(abs(code.value)), hi.eq((magnitude + 8) >> 4)]

        coarse = Signal(range(LARGEST_COARSE + 1))
        fine = Signal(range(LARGEST_FINE + 1))
        step = Signal(range(STEPS))
        last = Signal()
        valid = Signal()
        m.d.sync += [
            coarse.eq(Mux(code.integer, hi, 0)),
            fine.eq(Mux(code.integer, abs(magnitude - (hi << 4)), 0)),
            step.eq(0),
            last.eq(code.place.last),
            valid.eq(self.classified.valid),
        ]
        with m.If(~code.integer & ~code.silent):
            with m.If(magnitude <= LARGEST_FINE):
                m.d.sync += fine.eq(magnitude)
            with m.Else():
                m.d.sync += step.eq(code.step)

        # Digit 0, and step 0 of the integers, count as seen from the start: nothing to count.
        news = []
        for name, level, size in (
            ("coarse", coarse, LARGEST_COARSE + 1),
            ("fine", fine, LARGEST_FINE + 1),
            ("steps", step, STEPS),
        ):
            seen = Signal(size, init=1, name=f"{name}_seen")
            new = Signal(name=f"{name}_new")
            m.d.sync += new.eq(valid & ~seen.bit_select(level, 1))
            with m.If(valid):
                m.d.sync += seen.eq(Mux(last, 1, seen | (1 << level)))
            news.append(new)

        classes = Signal(3)
        m.d.sync += classes.eq(0)
        with m.If(self.classified.valid):
            m.d.sync += classes.eq(1 << Mux(code.silent, 1, Mux(code.integer, 2, 0)))

        elements = range(self.params.max_inputs + 1)
        for i, name in enumerate(("spikes", "silent", "integer_events")):
            counter = Signal(elements, name=f"{name}_counter")
            m.d.sync += counter.eq(Mux(self.clear, 0, counter + classes[i]))
            m.d.comb += getattr(self, name).eq(counter)
        counter = Signal(range(2 * self.params.max_inputs + 1), name="steps_counter")
        m.d.sync += counter.eq(Mux(self.clear, 0, counter + sum(news)))
        m.d.comb += self.steps.eq(counter)
        return m
