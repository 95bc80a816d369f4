"""Keeps the time steps of an array that holds several blocks, which are shown one by one."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import Crossbar
from hw.spec.crossbar_cycles import LARGEST, SWEEP
from hw.synapse.crossbar.array import current_width, taps
from hw.synapse.crossbar.integrator import FLAGS
from hw.synapse.crossbar.noise import WORD

#: Bits of a level, below that of the coarse window in the place of a step.
LEVEL_BITS = LARGEST.bit_length()

#: Place of the step that ends the coarse window: level 0 of it.
COARSE = 1 << LEVEL_BITS


def step_layout(crossbar: Crossbar, lanes: int) -> data.StructLayout:
    """Describe a time step of an array.

    Members
    -------
    column_L_R_C : ArrayLayout
        Of a column's lane, reading and number: sums of its parts in each phase, as of
        :class:`hw.synapse.crossbar.array.ColumnSums`. Shared columns have lane 0 only.
    raised : ArrayLayout
        Lines that were raised in each phase.
    lines : unsigned(32)
        Exclusive or of their words.
    """
    columns = {}
    for r, reading in enumerate(crossbar.cells.readings):
        for c, column in enumerate(reading.columns):
            parts = data.ArrayLayout(current_width(crossbar, column), taps(crossbar))
            for lane in range(1 if column.shared else lanes):
                columns[f"column_{lane}_{r}_{c}"] = data.ArrayLayout(parts, crossbar.phases)
    raised = data.ArrayLayout(range(crossbar.rows + 1), crossbar.phases)
    return data.StructLayout({**columns, "raised": raised, "lines": WORD})


class StepStore(wiring.Component):
    """Adds up the parts of each time step, and shows whole ones when the array is complete.

    Steps are shown from the latest level to the first, as time passes, :data:`SWEEP` cycles long;
    meanwhile the next array may come. Arrays end at least
    :func:`hw.spec.crossbar_cycles.array_interval` cycles apart.

    Parameters
    ----------
    crossbar : Crossbar
        The array.
    lanes : int
        Its columns.

    Members
    -------
    closed : In(1)
        A step of a block has ended in which lines were raised: ``step`` is what it brought.
    place : In
        Its level, and above that whether it was in the coarse window.
    step : In(struct)
        See :func:`step_layout`.
    ends : In(1)
        The array is complete, with ``step`` if that is there; pulses.
    item : Out(struct)
        What the sweep does in this cycle; see :data:`hw.synapse.crossbar.integrator.FLAGS`. The
        first comes a cycle after ``ends``.
    shown : Out(1)
        The step of the item before was one in which lines were raised.
    kept : Out(struct)
        That step.
    """

    def __init__(self, crossbar: Crossbar, lanes: int):
        layout = step_layout(crossbar, lanes)
        super().__init__(
            {
                **dict.fromkeys(("closed", "ends"), In(1)),
                "place": In(LEVEL_BITS + 1),
                "step": In(layout),
                "item": Out(data.StructLayout(FLAGS)),
                "shown": Out(1),
                "kept": Out(layout),
            }
        )

    def elaborate(self, platform):
        """Two banks: one is added to, the other is shown and emptied."""
        m = Module()
        layout = self.step.shape()
        m.submodules.steps = steps = Memory(shape=layout, depth=4 << LEVEL_BITS, init=[])
        write = steps.write_port()
        before = steps.read_port(transparent_for=(write,))
        swept = steps.read_port(transparent_for=(write,))
        bank = Signal()
        used = Signal(2 * COARSE * 2)
        here = Cat(self.place, bank)

        arrived, fresh, step = Signal(), Signal(), Signal(layout)
        m.d.comb += before.addr.eq(here)
        m.d.sync += [
            arrived.eq(self.closed),
            write.addr.eq(here),
            fresh.eq(~used.bit_select(here, 1)),
            step.eq(self.step),
        ]
        m.d.comb += write.en.eq(arrived)
        for more, known, total in _leaves(step, before.data, write.data):
            m.d.comb += total.eq(Mux(fresh, 0, known) + more)
        m.d.comb += write.data.lines.eq(Mux(fresh, 0, before.data.lines) ^ step.lines)
        with m.If(self.closed):
            m.d.sync += used.bit_select(here, 1).eq(1)

        active, place = Signal(), Signal(LEVEL_BITS + 1)
        there = Cat(place, ~bank)
        with m.If(active):
            m.d.sync += [
                place.eq(place - 1),
                active.eq(place != 0),
                used.bit_select(there, 1).eq(0),
            ]
        with m.If(self.ends):
            m.d.sync += [bank.eq(~bank), place.eq(SWEEP - 1), active.eq(1)]
        boundary = place[:LEVEL_BITS] == 0
        m.d.comb += [
            swept.addr.eq(there),
            self.kept.eq(swept.data),
            self.item.row.eq(active),
            self.item.gap.eq(~boundary),
            self.item.restart.eq(boundary),
            self.item.times16.eq(place == COARSE),
            self.item.last.eq(place == 0),
        ]
        m.d.sync += self.shown.eq(active & used.bit_select(there, 1))
        return m


def _leaves(*steps):
    """Yield sums and counts of several steps side by side."""
    for name, shape in steps[0].shape().members.items():
        if name == "lines":
            continue
        parts = [getattr(step, name) for step in steps]
        for phase in range(shape.length):
            inner = [part[phase] for part in parts]
            if name == "raised":
                yield inner
            else:
                for tap in range(shape.elem_shape.length):
                    yield [part[tap] for part in inner]
