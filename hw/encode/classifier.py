"""Tells silent codes, spikes and integers apart (``docs/arithmetic.md`` §2)."""

import dataclasses

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.encode.quotient import QUOTIENT_BITS, place_layout, quotient_layout
from hw.spec.codes import QUOTIENT_FRACTION, TABLES, CodeTable
from hw.spec.params import CoreParams

#: Names of the tables that the encoder knows; ``octave`` only where every quotient is whole.
SUPPORTED_TABLES: tuple[str, ...] = tuple(TABLES)

#: Tables whose levels are looked up; those with z > 0 have every level, so that rounding is enough.
_LADDERS = tuple(table for table in TABLES.values() if table.zero == 0)

#: Thresholds are multiples of 4, so that 8 bits of a quotient are enough to find the level.
ADDRESS_BITS = 8
THRESHOLD_FRACTION = 2

#: Cycles from a quotient to its code.
LATENCY = 5


@dataclasses.dataclass(frozen=True)
class Code:
    """One classified element.

    Attributes
    ----------
    value : int
        Decoded value D, -255..255.
    level : int
        Level relative to the silent one, v - m, -255..255: what is fired.
    integer : bool
        True for a code beyond the ladder.
    """

    value: int
    level: int
    integer: bool

    @property
    def silent(self) -> bool:
        """Whether the code fires no event."""
        return self.level == 0


def model(
    quotient: int,
    negative: bool,
    table: CodeTable,
    threshold: int,
    *,
    silent: int | None = None,
    codes: bool = False,
) -> Code:
    """Classify one element.

    Parameters
    ----------
    quotient : int
        Magnitude in 1/8 of the scale, 0..1016; in the test mode 8 times a code's magnitude.
    negative : bool
        Sign of the element.
    table : CodeTable
        A table of ``SUPPORTED_TABLES``.
    threshold : int
        Silence threshold in 1/8 of the scale, 0..255.
    silent : int, optional
        Silent level m; the table's default if absent.
    codes : bool
        True in the test mode, in which elements are decoded values; only where z = 0.

    Returns
    -------
    Code
        The decoded value, its level and its class.
    """
    silent_value = (table.silent_level if silent is None else silent) - table.zero
    signed_quotient = -quotient if negative else quotient
    magnitude, integer = quotient + 4 >> QUOTIENT_FRACTION, True
    if table.zero:
        level = (-magnitude if negative else magnitude) + table.zero
        integer = not 0 <= level <= table.highest
    elif table.polarity or not negative:
        if codes:
            integer = magnitude not in table.ladder
        else:
            magnitude, integer = table.magnitude(quotient)
    value = -magnitude if negative else magnitude
    below = abs(signed_quotient - 8 * silent_value) < threshold and not codes
    if below or value == silent_value:
        return Code(silent_value, 0, False)
    return Code(value, value - silent_value, integer)


def code_layout() -> data.StructLayout:
    """One classified element; see :class:`Code`. A ``silent`` one has level 0."""
    return data.StructLayout(
        {
            "value": signed(CoreParams.code_width),
            "level": signed(CoreParams.code_width),
            "integer": 1,
            "silent": 1,
            "place": place_layout(),
        }
    )


_LEVEL = data.StructLayout({"level": ADDRESS_BITS, "integer": 1})


def _levels(table: CodeTable, codes: bool) -> list[dict]:
    """Return level and class of every magnitude."""
    rows = []
    for address in range(1 << ADDRESS_BITS):
        level, integer = address, address not in table.ladder
        if not codes:
            fraction = THRESHOLD_FRACTION if table.linear else QUOTIENT_FRACTION
            level, integer = table.magnitude(address << fraction)
        rows.append({"level": 0 if integer else level, "integer": integer})
    return rows


class Classifier(wiring.Component):
    """Classifies quotients, one a cycle, in ``LATENCY`` cycles.

    Members
    -------
    quotients : In(stream)
        See :func:`hw.encode.quotient.quotient_layout`; always ready.
    table : In(4)
        Number of a table of ``SUPPORTED_TABLES``.
    threshold : In(8)
        Silence threshold in 1/8 of the scale.
    silent : In(8)
        Silent level m; 0 where z = 0.
    codes : In(1)
        Test mode.
    classified : Out(stream)
        See :func:`code_layout`; must always be accepted.
    """

    quotients: In(stream.Signature(quotient_layout(), always_ready=True))
    table: In(4)
    threshold: In(8)
    silent: In(8)
    codes: In(1)
    classified: Out(stream.Signature(code_layout(), always_ready=True))

    def elaborate(self, platform):
        """Look up; register; magnitude and distance from silence; sign; level and class."""
        m = Module()
        rounds, polarity, zero, highest = self._table(m)
        silent_value = Signal(signed(CoreParams.code_width))
        m.d.comb += silent_value.eq(self.silent - zero)

        valid = Signal(LATENCY)
        waiting = [Signal(quotient_layout(), name=f"quotient_{i}") for i in range(LATENCY - 1)]
        m.d.sync += [
            valid.eq(Cat(self.quotients.valid, valid)),
            *(b.eq(a) for a, b in zip([self.quotients.p, *waiting], waiting, strict=False)),
        ]
        m.d.comb += self.classified.valid.eq(valid[-1])

        # A block RAM is too slow for logic behind it; hence a register at once.
        level = Signal(_LEVEL)
        m.d.sync += level.eq(self._look_up(m))

        quotient = waiting[1]
        found_integer = Signal()
        integer, magnitude = Signal(), Signal(ADDRESS_BITS)
        distance = Signal(signed(QUOTIENT_BITS + 2))
        size = Signal(signed(QUOTIENT_BITS + 1))
        m.d.comb += [
            found_integer.eq(rounds | level.integer | (quotient.negative & ~polarity)),
            size.eq(Mux(quotient.negative, -quotient.quotient, quotient.quotient)),
        ]
        m.d.sync += [
            integer.eq(found_integer),
            magnitude.eq(
                Mux(found_integer, (quotient.quotient + 4) >> QUOTIENT_FRACTION, level.level)
            ),
            distance.eq(size - (silent_value << QUOTIENT_FRACTION)),
        ]

        value = Signal(signed(CoreParams.code_width))
        below, beyond = Signal(), Signal()
        m.d.sync += [
            value.eq(Mux(waiting[2].negative, -magnitude, magnitude)),
            below.eq(~self.codes & (abs(distance) < self.threshold)),
            beyond.eq(integer),
        ]

        code = self.classified.p
        silent = below | (value == silent_value)
        window = Mux(rounds, (value < -zero) | (value > highest - zero), beyond)
        m.d.sync += [
            code.value.eq(Mux(silent, silent_value, value)),
            code.level.eq(Mux(silent, 0, value - silent_value)),
            code.integer.eq(window & ~silent),
            code.silent.eq(silent),
            code.place.eq(waiting[3].place),
        ]
        return m

    def _table(self, m):
        """Tell what the table is: whether rounding finds its levels, polarity, z, top level."""
        properties = []
        for name, of in (
            ("rounds", lambda t: t.zero > 0),
            ("polarity", lambda t: t.polarity),
            ("zero", lambda t: t.zero),
            ("highest", lambda t: t.highest if t.zero else 0),
        ):
            by_number = {t.number: int(of(t)) for t in TABLES.values()}
            values = [by_number.get(number, 0) for number in range(16)]
            properties.append(Signal(range(max(values) + 1), name=name))
            m.d.comb += properties[-1].eq(Array(values)[self.table])
        return properties

    def _look_up(self, m):
        """Read the level of a quotient, or the class of a code in the test mode."""
        slots = {table.number: slot for slot, table in enumerate(_LADDERS)}
        slot, linear = Signal(range(len(slots))), Signal()
        not_linear = [table.number for table in TABLES.values() if not table.linear]
        m.submodules.levels = levels = Memory(
            shape=_LEVEL,
            depth=2 * len(slots) << ADDRESS_BITS,
            init=[row for t in _LADDERS for codes in (False, True) for row in _levels(t, codes)],
        )
        found = levels.read_port()
        quotient = self.quotients.p.quotient
        whole = self.codes | ~linear
        # Beyond the last address all are integers.
        beyond = Mux(quotient[ADDRESS_BITS + THRESHOLD_FRACTION :].any(), -1, 0)
        address = Mux(whole, quotient[QUOTIENT_FRACTION:], quotient[THRESHOLD_FRACTION:] | beyond)
        m.d.comb += [
            linear.eq(~self.table.matches(*not_linear)),
            slot.eq(Array(slots.get(number, 0) for number in range(16))[self.table]),
            found.addr.eq(Cat(address[:ADDRESS_BITS], self.codes, slot)),
        ]
        return found.data
