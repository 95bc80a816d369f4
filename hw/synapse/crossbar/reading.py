"""A reading: columns, noise and converter (``docs/crossbar.md`` §4 to §6)."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import Crossbar
from hw.spec.mappings import Reading
from hw.spec.noise import AMPLITUDE_FRACTION
from hw.synapse.crossbar.adc import LATENCY as ADC_LATENCY
from hw.synapse.crossbar.adc import Converter
from hw.synapse.crossbar.array import LOSS_LATENCY, ColumnCurrent, current_width, taps
from hw.synapse.crossbar.delay import delayed
from hw.synapse.crossbar.noise import DEVIATE_LATENCY, WORD, Deviate

#: Cycles from sums to the current with its noise.
CURRENT_LATENCY = DEVIATE_LATENCY + 1

#: Cycles from sums to the value of a code.
LATENCY = CURRENT_LATENCY + ADC_LATENCY


def amplitude_width(crossbar: Crossbar) -> int:
    """Bits of the amplitude of a reading's noise."""
    return max(max(table) for table in crossbar.read_amplitudes).bit_length()


def width(crossbar: Crossbar, reading: Reading) -> int:
    """Signed bits of a reading's current, noise included."""
    widest = max(current_width(crossbar, column) for column in reading.columns)
    return max(widest, amplitude_width(crossbar)) + 2


class NoisyCurrent(wiring.Component):
    """Current of a reading, :data:`CURRENT_LATENCY` cycles after the sums of its columns.

    Parameters
    ----------
    crossbar : Crossbar
        The array.
    reading : Reading
        The reading.

    Members
    -------
    column_0, column_1, ... : In(ArrayLayout)
        Sums of the parts of each column.
    amplitude : In
        Of the noise.
    key, c0, c1 : In(32)
        Of the sample.
    current : Out(signed)
        In 1/256 level.
    """

    def __init__(self, crossbar: Crossbar, reading: Reading):
        self._crossbar, self._reading = crossbar, reading
        columns = {
            f"column_{i}": In(data.ArrayLayout(current_width(crossbar, column), taps(crossbar)))
            for i, column in enumerate(reading.columns)
        }
        super().__init__(
            {
                **columns,
                "amplitude": In(amplitude_width(crossbar)),
                **dict.fromkeys(("key", "c0", "c1"), In(WORD)),
                "current": Out(signed(width(crossbar, reading))),
            }
        )

    def elaborate(self, platform):
        """Currents beside the deviate; their sum."""
        m = Module()
        total = Signal.like(self.current)
        terms = []
        for i, column in enumerate(self._reading.columns):
            m.submodules[f"column_{i}"] = line = ColumnCurrent(self._crossbar, column)
            m.d.comb += line.parts.eq(getattr(self, f"column_{i}"))
            terms.append(column.sign * line.current)
        m.d.comb += total.eq(sum(terms))
        clean = delayed(m, total, DEVIATE_LATENCY - LOSS_LATENCY)
        noise = 0
        if self._crossbar.noisy:
            m.submodules.deviate = draw = Deviate(seed=self._crossbar.seed)
            m.d.comb += [getattr(draw, n).eq(getattr(self, n)) for n in ("key", "c0", "c1")]
            amplitude = delayed(m, self.amplitude, DEVIATE_LATENCY)
            half = 1 << AMPLITUDE_FRACTION - 1
            noise = (draw.deviate * amplitude + half) >> AMPLITUDE_FRACTION
        m.d.sync += self.current.eq(clean + noise)
        return m


class Readout(wiring.Component):
    """Value of a reading, :data:`LATENCY` cycles after the sums of its columns.

    Members are those of :class:`NoisyCurrent`, with ``value`` in levels for ``current``.
    """

    def __init__(self, crossbar: Crossbar, reading: Reading):
        self._current = NoisyCurrent(crossbar, reading)
        self._converter = Converter(
            crossbar.converter, width=width(crossbar, reading), bipolar=reading.signed
        )
        members = dict(self._current.signature.members)
        del members["current"]
        super().__init__({**members, "value": self._converter.signature.members["value"]})

    def elaborate(self, platform):
        """Join the two."""
        m = Module()
        m.submodules.current = current = self._current
        m.submodules.converter = converter = self._converter
        m.d.comb += [
            *(
                getattr(current, name).eq(getattr(self, name))
                for name in self.signature.members
                if name != "value"
            ),
            converter.current.eq(current.current),
            self.value.eq(converter.value),
        ]
        return m
