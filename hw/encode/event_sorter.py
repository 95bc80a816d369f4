"""Puts the events of a block in the order of their time steps (``docs/arithmetic.md`` §2)."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.encode.classifier import STEPS, Code, code_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


def model(block: Sequence[Code]) -> list[tuple[int, int]]:
    """Events (row, value) of one block: integers, then spikes in falling level, rows ascending."""
    events = [(row, code) for row, code in enumerate(block) if not code.silent]
    integers = [(row, code.value) for row, code in events if code.integer]
    spikes = [(row, code.value) for row, code in events if not code.integer]
    return integers + sorted(spikes, key=lambda event: -abs(event[1]))


def fired_layout() -> data.StructLayout:
    """One event without its block: ``row`` and decoded value ``code``."""
    return data.StructLayout({"row": range(BLOCK), "code": signed(CoreParams.code_width)})


class EventSorter(wiring.Component):
    """Sorts by buckets: a set of rows for every time step.

    While one half of the buckets fills with a block, at one code a cycle, the other half fires, at
    one event a cycle without gaps. A whole block thus never waits: it takes 32 cycles to fill and
    at most 32 to fire. A shorter block may only come last, and the next vector when ``busy`` is
    low. A block begins to fire 5 cycles after its last code, unless the one before still fires.

    Members
    -------
    classified : In(stream)
        See :func:`hw.encode.classifier.code_layout`; always ready.
    fired : Out(stream)
        Events; see :func:`fired_layout`; must always be accepted.
    busy : Out(1)
        Events of complete blocks are still to come.
    """

    classified: In(stream.Signature(code_layout(), always_ready=True))
    fired: Out(stream.Signature(fired_layout(), always_ready=True))
    busy: Out(1)

    def elaborate(self, platform):
        """Fill one half of the buckets, fetch those of the other, fire, look the values up."""
        m = Module()
        m.submodules.rows = rows = Memory(shape=BLOCK, depth=2 * STEPS, init=[])
        m.submodules.values = values = Memory(
            shape=signed(CoreParams.code_width), depth=2 * BLOCK, init=[]
        )

        # Fill. Values are stored late: for two cycles the half that fills is still looked up.
        code = self.classified.p
        row = code.place.row
        filling = Signal()
        filled = Signal(STEPS)  # occupied steps of the block that fills
        waiting = Signal(STEPS)  # occupied steps of a complete block that does not fire yet
        occupied = Signal(STEPS)
        bucket, write_bucket = rows.read_port(domain="comb"), rows.write_port()
        write_value = values.write_port()
        m.d.comb += [
            occupied.eq(filled | Mux(code.silent, 0, 1 << code.step)),
            bucket.addr.eq(Cat(code.step, filling)),
            write_bucket.addr.eq(bucket.addr),
            write_bucket.data.eq(Mux(filled.bit_select(code.step, 1), bucket.data, 0) | (1 << row)),
            write_bucket.en.eq(self.classified.valid & ~code.silent),
        ]
        late = Signal(
            data.StructLayout(
                {"row": range(BLOCK), "half": 1, "value": CoreParams.code_width, "valid": 1}
            )
        )
        m.d.sync += [
            late.row.eq(row),
            late.half.eq(filling),
            late.value.eq(code.value),
            late.valid.eq(self.classified.valid),
            write_value.addr.eq(Cat(late.row, late.half)),
            write_value.data.eq(late.value),
            write_value.en.eq(late.valid),
        ]
        with m.If(self.classified.valid):
            m.d.sync += filled.eq(occupied)

        # Fetch the next step's rows ahead, of the same block or of the one that waits.
        steps = Signal(STEPS)  # occupied steps that have not been fetched
        more = Signal()  # whether there are any
        fetching = Signal()
        upcoming, others = Signal(STEPS), Signal(STEPS)
        half = Signal()
        ahead, ahead_half = Signal(BLOCK), Signal()
        ahead_valid = Signal()
        fetched = rows.read_port(domain="comb")
        taken = Signal()
        m.d.comb += [
            upcoming.eq(Mux(more, steps, waiting)),
            others.eq(upcoming & (upcoming - 1)),
            half.eq(Mux(more, fetching, ~filling)),
            fetched.addr.eq(Cat(_first(upcoming), half)),
        ]
        with m.If(taken | ~ahead_valid):
            m.d.sync += [
                ahead.eq(fetched.data),
                ahead_half.eq(half),
                ahead_valid.eq(more | waiting.any()),
                steps.eq(others),
                more.eq(others.any()),
                fetching.eq(half),
            ]
            with m.If(~more):
                m.d.sync += waiting.eq(0)
        with m.If(self.classified.valid & code.place.last):
            m.d.sync += [waiting.eq(occupied), filled.eq(0), filling.eq(~filling)]

        # Fire.
        pending = Signal(BLOCK)  # rows of the present step that have not fired
        rest = Signal(BLOCK)
        firing = Signal()
        m.d.comb += [rest.eq(pending & (pending - 1)), taken.eq(~_several(pending))]
        m.d.sync += pending.eq(rest)
        with m.If(taken):
            m.d.sync += [pending.eq(Mux(ahead_valid, ahead, 0)), firing.eq(ahead_half)]

        # Look up.
        value = values.read_port()
        fired_row = Signal(range(BLOCK))
        fired_half = Signal()
        fired = Signal()
        m.d.sync += [
            fired_row.eq(_first(pending)),
            fired_half.eq(firing),
            fired.eq(pending.any()),
            self.fired.p.row.eq(fired_row),
            self.fired.valid.eq(fired),
        ]
        m.d.comb += [
            value.addr.eq(Cat(fired_row, fired_half)),
            self.fired.p.code.eq(value.data),
        ]
        m.d.comb += self.busy.eq(
            waiting.any() | more | ahead_valid | pending.any() | fired | self.fired.valid
        )
        return m


def _first(flags):
    """Return the number of the lowest flag that is set."""
    if len(flags) == 2:
        return ~flags[0]
    low, high = flags[: len(flags) // 2], flags[len(flags) // 2 :]
    return Cat(Mux(low.any(), _first(low), _first(high)), ~low.any())


def _several(flags):
    """Tell whether more than one flag is set."""
    if len(flags) == 1:
        return Const(0)
    low, high = flags[: len(flags) // 2], flags[len(flags) // 2 :]
    return _several(low) | _several(high) | (low.any() & high.any())
