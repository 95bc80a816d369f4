"""Integrator lanes, ``spike`` form: two adders a lane, no multiplier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, signed

from hw.integrate.lanes import WEIGHT_WIDTH, Lanes

#: Signed bits of a current: 32 rows of -8, negated, are 256.
CURRENT_WIDTH = 10

#: Largest ``gap_shift``.
LARGEST_SHIFT = 2


class Item(NamedTuple):
    """What lanes do in one cycle; see :func:`hw.encode.event.event_layout`.

    ``last`` is ``ends_group`` there.
    """

    empty: bool = False
    negative: bool = False
    gap: bool = False
    gap_shift: int = 0
    restart: bool = False
    times16: bool = False
    last: bool = False


def model(items: Sequence[Item], rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Integrate items in exact integers.

    Parameters
    ----------
    items : sequence of Item
        One for each cycle.
    rows : sequence of sequence of int
        Weights -8..7 of each item, one for each lane; ignored where the item is empty.

    Returns
    -------
    list of list of int
        Sums P that are handed over, of each group one for each lane.
    """
    lanes = len(rows[0])
    currents, potentials, sums = [0] * lanes, [0] * lanes, []
    for item, row in zip(items, rows, strict=True):
        for lane, weight in enumerate(row):
            passed = currents[lane] << item.gap_shift if item.gap else 0
            potentials[lane] = (potentials[lane] << 4 * item.times16) + passed
            fired = 0 if item.empty else -weight if item.negative else weight
            currents[lane] = (0 if item.restart else currents[lane]) + fired
        if item.last:
            sums.append(potentials)
            potentials = [0] * lanes
    return sums


class SpikeLanes(Lanes):
    """N lanes that integrate spikes in time, one item a cycle.

    A lane holds a current I, the signed sum of the weights that have fired, and a potential V, to
    which I is added for the time steps that pass. In the first cycle of an item the current takes
    the weight, and what it adds to V is shifted into a register of its own; in the second V takes
    that. The sums leave from V's adder.

    Sums wrap around at 17 bits, which P always fits at a group's end.
    """

    def elaborate(self, platform):
        """Decode the item for all lanes, then let each of them add."""
        m = Module()
        beat = self.beat
        times16 = Signal()
        fires, passes = Signal(), Signal()
        m.d.comb += [fires.eq(beat.row & ~beat.empty), passes.eq(beat.row & beat.gap)]
        m.d.sync += [
            times16.eq(beat.row & beat.times16),
            self.handover.eq(beat.row & beat.last),
            self.group.eq(beat.group),
        ]
        for lane in range(self._params.lanes):
            self._lane(m, lane, fires=fires, passes=passes, times16=times16)
        return m

    def _lane(self, m, lane, *, fires, passes, times16):
        beat = self.beat
        current = Signal(signed(CURRENT_WIDTH), name=f"current_{lane}")
        passed = Signal(signed(CURRENT_WIDTH + LARGEST_SHIFT), name=f"passed_{lane}")
        potential = Signal(signed(self._params.sum_width), name=f"potential_{lane}")

        # -w is ~w + 1: one more bit below carries the 1 into the same adder.
        weight = self.weights.word_select(lane, WEIGHT_WIDTH).as_signed()
        fired = Signal(signed(WEIGHT_WIDTH), name=f"fired_{lane}")
        m.d.comb += fired.eq(weight ^ beat.negative.replicate(WEIGHT_WIDTH))
        carried = Cat(beat.negative & fires, Mux(fires, fired, 0)).as_signed()
        kept = Cat(1, Mux(beat.restart, 0, current)).as_signed()
        with m.If(beat.row):
            m.d.sync += current.eq((kept + carried) >> 1)

        m.d.sync += passed.eq(0)
        with m.If(passes):
            m.d.sync += passed.eq(
                Mux(beat.gap_shift[1], current << 2, Mux(beat.gap_shift[0], current << 1, current))
            )
        total = self.sums[lane]
        m.d.comb += total.eq(Mux(times16, potential << 4, potential) + passed)
        m.d.sync += potential.eq(Mux(self.handover, 0, total))
