"""Tells silent codes, spikes and integers apart (``docs/arithmetic.md`` §2)."""

import dataclasses

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.encode.quotient import place_layout, quotient_layout
from hw.spec.codes import QUOTIENT_FRACTION, TABLES, CodeTable
from hw.spec.params import CoreParams

#: Names of the tables that the encoder knows; those with z > 0 need the sums of weights.
SUPPORTED_TABLES: tuple[str, ...] = tuple(t.name for t in TABLES.values() if t.zero == 0)
_TABLES = tuple(TABLES[name] for name in SUPPORTED_TABLES)

#: Time steps of a block's events: 0 fires all integers, then one step per level of the ladder.
STEPS = 16

#: Thresholds are multiples of 4, so that 8 bits of a quotient are enough to find the level.
ADDRESS_BITS = 8
THRESHOLD_FRACTION = 2


@dataclasses.dataclass(frozen=True)
class Code:
    """One classified element.

    Attributes
    ----------
    value : int
        Decoded value D, -255..255; 0 if silent.
    integer : bool
        True for a code beyond the ladder.
    step : int
        Time step 0..15 in which it fires, if it is not silent.
    """

    value: int
    integer: bool
    step: int

    @property
    def silent(self) -> bool:
        """Whether the code fires no event."""
        return self.value == 0


SILENT = Code(0, False, 0)


def model(
    quotient: int, negative: bool, table: CodeTable, threshold: int, *, codes: bool = False
) -> Code:
    """Classify one element.

    Parameters
    ----------
    quotient : int
        Magnitude in 1/8 of the scale, 0..1023; in the test mode 8 times a code's magnitude.
    negative : bool
        Sign of the element.
    table : CodeTable
        A table of ``SUPPORTED_TABLES``.
    threshold : int
        Silence threshold in 1/8 of the scale, 0..255.
    codes : bool
        True in the test mode, in which elements are decoded values.

    Returns
    -------
    Code
        The decoded value, its class and its time step.
    """
    signless = negative and not table.polarity
    if codes:
        magnitude = quotient >> QUOTIENT_FRACTION
        integer = magnitude not in table.ladder or signless
        silent = magnitude == 0
    else:
        magnitude, integer = table.magnitude(quotient)
        if signless:
            magnitude, integer = quotient + 4 >> QUOTIENT_FRACTION, True
        silent = quotient < threshold or magnitude == 0
    if silent:
        return SILENT
    step = 0 if integer else STEPS - table.ladder.index(magnitude)
    return Code(-magnitude if negative else magnitude, integer, step)


def code_layout() -> data.StructLayout:
    """One classified element; see :class:`Code`. A ``silent`` one has value 0."""
    return data.StructLayout(
        {
            "value": signed(CoreParams.code_width),
            "integer": 1,
            "silent": 1,
            "step": range(STEPS),
            "place": place_layout(),
        }
    )


_LEVEL = data.StructLayout({"level": ADDRESS_BITS, "integer": 1, "step": range(STEPS)})


def _levels(table: CodeTable, codes: bool) -> list[dict]:
    """Return level, class and step of every magnitude."""
    shift = QUOTIENT_FRACTION if codes else THRESHOLD_FRACTION
    rows = []
    for address in range(1 << ADDRESS_BITS):
        integer, level = address not in table.ladder, address
        if not codes:
            level, integer = table.magnitude(address << shift)
        step = 0 if integer or not level else STEPS - table.ladder.index(level)
        rows.append({"level": 0 if integer else level, "integer": integer, "step": step})
    return rows


class Classifier(wiring.Component):
    """Classifies quotients, one a cycle, in 4 cycles.

    Members
    -------
    quotients : In(stream)
        See :func:`hw.encode.quotient.quotient_layout`; always ready.
    table : In(4)
        Number of a table of ``SUPPORTED_TABLES``.
    threshold : In(8)
        Silence threshold in 1/8 of the scale.
    codes : In(1)
        Test mode.
    classified : Out(stream)
        See :func:`code_layout`; must always be accepted.
    """

    quotients: In(stream.Signature(quotient_layout(), always_ready=True))
    table: In(4)
    threshold: In(8)
    codes: In(1)
    classified: Out(stream.Signature(code_layout(), always_ready=True))

    def elaborate(self, platform):
        """Look the level up; register it; find magnitude and class; apply the sign."""
        m = Module()
        slots = {table.number: slot for slot, table in enumerate(_TABLES)}
        slot = Signal(range(len(slots)))
        signed_table = Signal()
        m.d.comb += [
            slot.eq(Array(slots.get(number, 0) for number in range(16))[self.table]),
            signed_table.eq(Array(t.polarity for t in _TABLES)[slot]),
        ]

        m.submodules.levels = levels = Memory(
            shape=_LEVEL,
            depth=2 * len(slots) << ADDRESS_BITS,
            init=[
                row for table in _TABLES for codes in (False, True) for row in _levels(table, codes)
            ],
        )
        found = levels.read_port()
        incoming = self.quotients.p
        address = Mux(
            self.codes,
            incoming.quotient[QUOTIENT_FRACTION:],
            incoming.quotient[THRESHOLD_FRACTION:],
        )
        m.d.comb += found.addr.eq(Cat(address[:ADDRESS_BITS], self.codes, slot))

        # A block RAM is too slow for logic behind it; hence a register at once.
        valid = Signal(4)
        looked_up, quotient, classified = (Signal(quotient_layout()) for _ in range(3))
        level = Signal(_LEVEL)
        m.d.sync += [
            valid.eq(Cat(self.quotients.valid, valid)),
            looked_up.eq(incoming),
            level.eq(found.data),
            quotient.eq(looked_up),
            classified.eq(quotient),
        ]

        integer, magnitude, step = Signal(), Signal(ADDRESS_BITS), Signal(range(STEPS))
        below = Signal()
        found_integer = level.integer | (quotient.negative & ~signed_table)
        m.d.sync += [
            integer.eq(found_integer),
            magnitude.eq(
                Mux(found_integer, (quotient.quotient + 4) >> QUOTIENT_FRACTION, level.level)
            ),
            step.eq(Mux(found_integer, 0, level.step)),
            below.eq(~self.codes & (quotient.quotient < self.threshold)),
        ]

        code = self.classified.p
        silent = below | (magnitude == 0)
        m.d.sync += [
            code.value.eq(Mux(silent, 0, Mux(classified.negative, -magnitude, magnitude))),
            code.integer.eq(integer & ~silent),
            code.silent.eq(silent),
            code.step.eq(step),
            code.place.eq(classified.place),
        ]
        m.d.comb += self.classified.valid.eq(valid[-1])
        return m
