"""Digital sums of what converters give (``docs/crossbar.md`` §1 and §6)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import Crossbar
from hw.synapse.crossbar.adc import LATENCY as ADC_LATENCY
from hw.synapse.crossbar.adc import Converter, value_width
from hw.synapse.crossbar.delay import delayed
from hw.synapse.crossbar.reading import width

#: What an item does; see :func:`hw.encode.event.event_layout`.
FLAGS = {"row": 1, "gap": 1, "gap_shift": 2, "restart": 1, "times16": 1, "last": 1}

#: Bits of the sum of all levels at which rows may fire, each row once: the charge of a window is a
#: current times that.
WINDOW_BITS = {32: 13, 256: 15}

#: Cycles from an item to the sums that it completes.
LATENCY = 2


def ports(crossbar: Crossbar, widths: list[int]) -> dict:
    """Members of an integrator whose readings have so many signed bits.

    Members
    -------
    row, gap, gap_shift, restart, times16, last : In
        The item.
    closed : In(1)
        A time step ends before it.
    shown : In(phases)
        Phases of that step in which lines were raised.
    reading_0_0, reading_0_1, reading_1_0, ... : In(signed)
        What each reading gave in each phase.
    sum : Out(signed)
        P without silent codes, where the item before last had ``last``.
    """
    readings = {
        f"reading_{number}_{phase}": In(signed(bits))
        for number, bits in enumerate(widths)
        for phase in range(crossbar.phases)
    }
    flags = {name: In(bits) for name, bits in FLAGS.items()}
    more = {"closed": In(1), "shown": In(crossbar.phases), **readings}
    return {**flags, **more, "sum": Out(signed(crossbar.sum_width))}


def clamped(value, bits: int):
    """Nearest number of so many signed bits."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    return Mux(value < low, low, Mux(value > high, high, value))


def _shifted(value, shift):
    return Mux(shift[1], value << 2, Mux(shift[0], value << 1, value))


class StepIntegrator(wiring.Component):
    """Adds up the codes of every step, and these sums over the time steps, as `spike` lanes do.

    The codes come a cycle before the item.

    Parameters
    ----------
    crossbar : Crossbar
        The array.

    Members
    -------
    row, ..., sum
        See :func:`ports`.
    """

    def __init__(self, crossbar: Crossbar):
        self._crossbar = crossbar
        widths = [
            value_width(crossbar.converter, width(crossbar, reading))
            for reading in crossbar.cells.readings
        ]
        super().__init__(ports(crossbar, widths))

    def elaborate(self, platform):
        """Join readings; add them to the current; add that to the potential."""
        m = Module()
        crossbar = self._crossbar
        total = 0
        for number, reading in enumerate(crossbar.cells.readings):
            for phase in range(crossbar.phases):
                value = getattr(self, f"reading_{number}_{phase}")
                factor = -reading.factor if phase else reading.factor
                total = total + Mux(self.shown[phase], value * factor, 0)
        bits = crossbar.step_width
        step = Signal(signed(bits))
        limit = (1 << bits - 1) - 1
        m.d.sync += step.eq(Mux(total < -limit, -limit, clamped(total, bits)))

        width, wide = signed(crossbar.current_width), signed(crossbar.potential_width)
        current, now = Signal(width), Signal(width)
        potential, after = Signal(wide), Signal(wide)
        passed = Mux(self.gap, _shifted(now, self.gap_shift), 0)
        m.d.comb += [
            now.eq(current + Mux(self.closed, step, 0)),
            after.eq(Mux(self.times16, potential << 4, potential) + passed),
        ]
        with m.If(self.row):
            m.d.sync += [
                current.eq(Mux(self.restart, 0, now)),
                potential.eq(Mux(self.last, 0, after)),
            ]
        m.d.sync += self.sum.eq(clamped(after, len(self.sum)))
        return m


class WindowIntegrator(wiring.Component):
    """Lets currents add up in the analog domain, and converts them at a window's end.

    Parameters
    ----------
    crossbar : Crossbar
        The array.

    Members
    -------
    row, ..., sum
        See :func:`ports`.
    """

    def __init__(self, crossbar: Crossbar):
        self._crossbar = crossbar
        self._widths = [width(crossbar, reading) for reading in crossbar.cells.readings]
        super().__init__(ports(crossbar, self._widths))

    def elaborate(self, platform):
        """Charge of each reading; two conversions where the fine window follows a coarse one."""
        m = Module()
        crossbar = self._crossbar
        coarse = fine = 0
        for number, reading in enumerate(crossbar.cells.readings):
            for phase in range(crossbar.phases):
                factor = -reading.factor if phase else reading.factor
                first, second = self._charge(m, number, phase, reading.signed)
                coarse, fine = coarse + factor * first, fine + factor * second
        flags = Signal(3)
        m.d.comb += flags.eq((self.row & self.times16) | (self.row & self.last) << 1)
        ends_coarse, ends = delayed(m, flags, 1 + ADC_LATENCY)[:2]
        kept = Signal(signed(crossbar.potential_width))
        before = Signal(signed(crossbar.potential_width))
        m.d.comb += before.eq(Mux(ends_coarse, coarse << 4, kept))
        m.d.sync += [
            kept.eq(Mux(ends, 0, before)),
            self.sum.eq(clamped(before + fine, len(self.sum))),
        ]
        return m

    def _charge(self, m, number, phase, bipolar):
        """Values of a reading's charge at the ends of both windows, 0 where nothing was raised."""
        bits = self._widths[number] + WINDOW_BITS[self._crossbar.rows]
        name = f"{number}_{phase}"
        shown = self.closed & self.shown[phase]
        current, now, charge, after = (
            Signal(signed(bits), name=f"{part}_{name}")
            for part in ("current", "now", "charge", "after")
        )
        some, some_now = Signal(name=f"some_{name}"), Signal(name=f"some_now_{name}")
        passed = Mux(self.gap, _shifted(now, self.gap_shift), 0)
        m.d.comb += [
            now.eq(current + Mux(shown, getattr(self, f"reading_{name}"), 0)),
            after.eq(Mux(self.times16, 0, charge) + passed),
            some_now.eq((some & ~self.times16) | shown),
        ]
        with m.If(self.row):
            m.d.sync += [
                current.eq(Mux(self.restart, 0, now)),
                charge.eq(Mux(self.last, 0, after)),
                some.eq(some_now & ~self.last),
            ]
        values = []
        for window, (held, valid) in enumerate(((charge, some), (after, some_now))):
            converter = Converter(self._crossbar.converter, width=bits, bipolar=bipolar)
            m.submodules[f"converter_{name}_{window}"] = converter
            taken = Signal(name=f"taken_{name}_{window}")
            m.d.sync += [converter.current.eq(held), taken.eq(valid)]
            values.append(Mux(delayed(m, taken, ADC_LATENCY), converter.value, 0))
        return values
