"""Memristor crossbars: layers of a macro, their parameters and presets (``docs/crossbar.md``)."""

from __future__ import annotations

import dataclasses
import math

from hw.spec import noise
from hw.spec.mappings import MAPPINGS, WEIGHTS, Cell, Column, Mapping, Reading

#: Fraction bits of a conductance and of a current: level 1 is 256.
FRACTION = 8
UNIT = 1 << FRACTION

#: Largest conductance of a cell.
CELL_MAX = (1 << 13) - 1

#: Fraction bits of the gain of a converter, of drift, and of the wire's loss.
GAIN_FRACTION = 12
DRIFT_FRACTION = 15
WIRE_FRACTION = 16

#: Bits that a current loses before it is squared.
SQUARE_SHIFT = 6

#: Rows that sum in one column, and parts of a bit line between which its wire's resistance lies.
ROWS = (32, 256)
TAPS = 4

#: Most times that a cell is written.
MOST_PULSES = 4

SIGNS = ("paired", "phases")
READOUTS = ("step", "window")

#: Kinds of counters of the generator beside cells, whose kind is twice their number, and polarity.
READ_KIND = 128

#: Key that decides which cells are stuck; those of pulses are their numbers.
STUCK_KEY = 15


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdealConverter:
    """A converter that gives the current in whole levels, to the nearest, halves up."""

    text = "ideal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformConverter:
    """A converter of equal steps.

    Attributes
    ----------
    bits : int
        Bits of a code, 1..14: two's complement where the reading's current may be negative.
    step : int
        Current of a step, in 1/256 level.
    value : int
        What a step is worth, in levels.
    nearest : bool
        Codes change half a step before whole ones; else at whole ones.
    offset : int
        Current that is added to the input, in 1/256 level.
    gain : int
        What it is multiplied by before, in 1/4096.
    """

    bits: int
    step: int = UNIT
    value: int = 1
    nearest: bool = True
    offset: int = 0
    gain: int = 1 << GAIN_FRACTION

    def __post_init__(self):
        for name, least, most in (
            ("bits", 1, 14),
            ("step", 1, 1 << 17),
            ("value", 1, 256),
            ("offset", -(1 << 17), 1 << 17),
            ("gain", 1 << GAIN_FRACTION - 1, 1 << GAIN_FRACTION + 1),
        ):
            _within(f"the converter's {name}", getattr(self, name), least, most)

    @property
    def text(self) -> str:
        """Description for people."""
        return f"{self.bits} bits, steps of {self.value} levels"

    def range(self, signed: bool) -> tuple[int, int]:
        """Least and largest code."""
        return (
            (-(1 << self.bits - 1), (1 << self.bits - 1) - 1)
            if signed
            else (
                0,
                (1 << self.bits) - 1,
            )
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """What cells are like. All of it 0, or 1 pulse, is a cell that is exact.

    Attributes
    ----------
    off : int
        Conductance of level 0, in 1/256 of level 1: the leakage of the high-resistance state.
    programming_sigma : float
        Standard deviation of a written conductance, in levels.
    pulses : int
        Times that a cell is written at most, until it lies within ``tolerance``.
    tolerance : float
        In levels.
    stuck_low, stuck_high : float
        Share of cells that stay at level 0, and at the largest level.
    drift : float
        What is left of every conductance after some time, 0.5..1.
    read_sigma : float
        Standard deviation of the noise of one cell of radix 1 in one reading, in levels.
    column_sigma : float
        Standard deviation of the noise of a reading whatever cells take part, in levels.
    """

    off: int = 0
    programming_sigma: float = 0.0
    pulses: int = 1
    tolerance: float = 0.0
    stuck_low: float = 0.0
    stuck_high: float = 0.0
    drift: float = 1.0
    read_sigma: float = 0.0
    column_sigma: float = 0.0

    def __post_init__(self):
        for name, least, most in (
            ("off", 0, UNIT - 1),
            ("programming_sigma", 0, 4),
            ("pulses", 1, MOST_PULSES),
            ("tolerance", 0, 16),
            ("stuck_low", 0, 0.5),
            ("stuck_high", 0, 0.5),
            ("drift", 0.5, 1),
            ("read_sigma", 0, 4),
            ("column_sigma", 0, 32),
        ):
            _within(name, getattr(self, name), least, most)

    @property
    def programming_amplitude(self) -> int:
        """Amplitude of the programming error."""
        return noise.amplitude(self.programming_sigma * UNIT)

    @property
    def tolerance_units(self) -> int:
        """Tolerance in 1/256 level."""
        return round(self.tolerance * UNIT)

    @property
    def drift_factor(self) -> int:
        """Drift in 1/32768."""
        return round(self.drift * (1 << DRIFT_FRACTION))

    @property
    def stuck_limits(self) -> tuple[int, int]:
        """Words below the first are stuck low, of the others those below the second high."""
        low = round(self.stuck_low * 2**32)
        return low, low + round(self.stuck_high * 2**32)

    @property
    def exact(self) -> bool:
        """Whether a cell has the conductance that was wanted."""
        amplitude, limits = self.programming_amplitude, self.stuck_limits
        return not amplitude and not limits[1] and self.drift_factor == 1 << DRIFT_FRACTION


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossbar:
    """Everything that defines what a crossbar computes.

    Attributes
    ----------
    preset : str
        Name of the preset that it began with.
    mapping : str
        Name in :data:`hw.spec.mappings.MAPPINGS`.
    signs : str
        ``"paired"``: each input has two word lines, of which the second bears the negative weight.
        ``"phases"``: a time step is read twice, for the spikes of either polarity.
    rows : int
        Rows that sum in one column, all of one scale group: 32, or 256.
    readout : str
        ``"step"``: each time step is converted and added up digitally. ``"window"``: currents add
        up over the window before one conversion.
    clip : bool
        Weights that the mapping cannot hold become the nearest that it can; else they are refused.
    device : Device
        The cells.
    wire : float
        Resistance of a bit line from row to row, times the conductance of level 1.
    converter : IdealConverter or UniformConverter
        The analog-digital converter.
    columns_per_converter : int
        Columns that a converter serves in turn.
    access : int
        Clock cycles in which a time step settles and is sampled.
    macro_rows, macro_columns : int
        Word lines and bit lines of a macro, in which several arrays may lie.
    seed : int
        Of programming and of noise, 32 bits.
    """

    preset: str
    mapping: str
    signs: str = "paired"
    rows: int = 32
    readout: str = "step"
    clip: bool = False
    device: Device = dataclasses.field(default_factory=Device)
    wire: float = 0.0
    converter: IdealConverter | UniformConverter = dataclasses.field(default_factory=IdealConverter)
    columns_per_converter: int = 1
    access: int = 1
    macro_rows: int = 256
    macro_columns: int = 256
    seed: int = 0

    def __post_init__(self):
        for name, known in (
            ("mapping", tuple(MAPPINGS)),
            ("signs", SIGNS),
            ("rows", ROWS),
            ("readout", READOUTS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(str, known))}, not "
                    f"{getattr(self, name)!r}"
                )
        _within("wire", self.wire, 0, 0.001)
        _within("columns_per_converter", self.columns_per_converter, 1, 256)
        _within("access", self.access, 1, 255)
        _within("macro_rows", self.macro_rows, 32, 65536)
        _within("macro_columns", self.macro_columns, self.bit_lines, 65536)
        _within("seed", self.seed, 0, (1 << 32) - 1)
        held = self.cells.holds
        if self.signs == "paired" and any(held(w) and not held(-w) for w in WEIGHTS):
            raise ValueError(
                f"mapping {self.mapping!r} has no cells for the negative of every weight; choose "
                "signs 'phases'"
            )

    def replace(self, **changes) -> Crossbar:
        """Variant with some fields changed; those of the device by their own names."""
        own = {f.name for f in dataclasses.fields(Device)}
        device = {name: changes.pop(name) for name in list(changes) if name in own}
        if device:
            base = changes.get("device", self.device)
            changes["device"] = dataclasses.replace(base, **device)
        return dataclasses.replace(self, **changes)

    def with_bits(self, bits: int, value: int | None = None) -> Crossbar:
        """Variant whose converter has so many bits; its steps are as fine as the range allows.

        Parameters
        ----------
        bits : int
            Bits of the converter.
        value : int, optional
            Levels of a step; if absent the least odd number with which nothing is clipped. Odd ones
            round whole levels without bias.
        """
        if value is None:
            signed = self.cells.readings[0].signed
            low, high = UniformConverter(bits=bits).range(signed)
            ends = [self.bounds(r) for r in range(len(self.cells.readings))]
            value = 1
            while any(
                (least + value // 2) // value < low or (most + value // 2) // value > high
                for least, most in ends
            ):
                value += 2
        scale = UNIT - (self.device.off if self.mapping == "sliced" else 0)
        return self.replace(converter=UniformConverter(bits=bits, step=value * scale, value=value))

    @property
    def cells(self) -> Mapping:
        """The mapping, clipped if that was asked for."""
        mapping = MAPPINGS[self.mapping]
        return _clipped(mapping) if self.clip else mapping

    @property
    def bit_lines(self) -> int:
        """Bit lines of an output, shared ones left out."""
        return sum(not c.shared for reading in self.cells.readings for c in reading.columns)

    @property
    def polarities(self) -> int:
        """Word lines of an input."""
        return 2 if self.signs == "paired" else 1

    @property
    def phases(self) -> int:
        """Readings of a time step in which spikes of both polarities fire."""
        return 1 if self.signs == "paired" else 2

    @property
    def step_width(self) -> int:
        """Signed bits of the sum of one time step."""
        return 10 + (self.rows // 32).bit_length() - 1

    @property
    def current_width(self) -> int:
        """Signed bits of the digital current I."""
        return 15 if self.rows == 32 else 21

    @property
    def potential_width(self) -> int:
        """Signed bits of V."""
        return 25 if self.rows == 32 else 29

    @property
    def sum_width(self) -> int:
        """Signed bits of P."""
        return 17 + (self.rows // 32).bit_length() - 1

    def bounds(self, reading: int) -> tuple[int, int]:
        """Least and largest current of an array of exact cells without leakage, in levels."""
        low = high = 0
        for columns in (self.cells.readings[reading].columns,):
            sums = []
            for weight in WEIGHTS:
                if all(c.levels[weight + 8] is not None for col in columns for c in col.cells):
                    sums.append(
                        sum(
                            col.sign * c.radix * (c.levels[weight + 8] or 0)
                            for col in columns
                            for c in col.cells
                        )
                    )
            low, high = min(0, *sums) * self.rows, max(0, *sums) * self.rows
        return low, high

    @property
    def lossless_bits(self) -> int:
        """Bits of a converter whose steps are levels and that never clips exact cells."""
        needed = 1
        for number, reading in enumerate(self.cells.readings):
            low, high = self.bounds(number)
            bits = high.bit_length()
            if reading.signed:
                bits = max(bits, (-low - 1).bit_length() if low else 0) + 1
            needed = max(needed, bits)
        return needed

    @property
    def read_amplitudes(self) -> tuple[tuple[int, ...], ...]:
        """Amplitude of a reading's noise, by reading and number of raised lines, 0..rows."""
        device = self.device
        tables = []
        for reading in self.cells.readings:
            squares = sum(c.radix**2 for column in reading.columns for c in column.cells)
            sigmas = (
                math.sqrt(r * squares * device.read_sigma**2 + device.column_sigma**2)
                for r in range(self.rows + 1)
            )
            tables.append(tuple(noise.amplitude(sigma * UNIT) for sigma in sigmas))
        return tuple(tables)

    @property
    def noisy(self) -> bool:
        """Whether readings have noise."""
        return any(map(any, self.read_amplitudes))

    @property
    def wire_factor(self) -> int:
        """Loss of a bit line, see ``docs/crossbar.md`` §4."""
        rows = self.rows // TAPS
        return round(self.wire * rows * 2 ** (WIRE_FRACTION + 2 * SQUARE_SHIFT - FRACTION))


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least}..{most}, not {value}")


def _clipped(mapping: Mapping) -> Mapping:
    """Give weights that a mapping does not hold the levels of the nearest that it does."""
    held = [w for w in WEIGHTS if mapping.holds(w)]

    def clip(cell: Cell) -> Cell:
        nearest = (min(max(w, held[0]), held[-1]) for w in WEIGHTS)
        return Cell(radix=cell.radix, levels=tuple(cell.levels[w + 8] for w in nearest))

    return Mapping(
        name=mapping.name,
        text=mapping.text,
        readings=tuple(
            Reading(
                factor=reading.factor,
                columns=tuple(
                    Column(
                        sign=column.sign,
                        cells=tuple(map(clip, column.cells)),
                        shared=column.shared,
                    )
                    for column in reading.columns
                ),
            )
            for reading in mapping.readings
        ),
    )


#: Every preset, by name. What its source does not say is chosen, and ``docs/crossbar.md`` §8 says
#: which that is.
PRESETS: dict[str, Crossbar] = {
    preset.preset: preset
    for preset in (
        # No source: exact cells, and a converter that loses nothing.
        Crossbar(preset="ideal", mapping="pair"),
        # Matterhorn, arXiv 2601.22876: 256 x 256 one-bit cells, read-out per time step.
        Crossbar(
            preset="matterhorn",
            mapping="sliced",
            signs="phases",
            device=Device(off=15, programming_sigma=0.1, pulses=2, tolerance=0.1, read_sigma=0.05),
            converter=UniformConverter(bits=7, step=UNIT - 15),
            columns_per_converter=8,
            access=4,
        ),
        # Ye et al., IEEE JSSC 58(10), 2023: 32 inputs x 64 outputs, 3-bit weights, 4-bit read-out.
        Crossbar(
            preset="ye2023",
            mapping="planes",
            signs="phases",
            device=Device(off=15, programming_sigma=0.02, read_sigma=0.01),
            converter=UniformConverter(bits=4, step=14 * UNIT, value=14, nearest=False),
            columns_per_converter=64,
            access=7,
            macro_rows=32,
            macro_columns=64,
        ),
    )
}
