"""A MATVEC: bursts of its weights, integration, and the draining of its outputs."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator

from hw.spec.axi4 import BOUNDARY, LONGEST
from hw.spec.codes import BLOCK
from hw.spec.cycles import CHECK, LAUNCH
from hw.spec.formats import WeightFormat
from hw.spec.params import CoreParams
from hw.spec.token_cycles import DRAIN
from sw.plan.bus import Ask, Requests
from sw.plan.lanes import Lanes
from sw.plan.vector import VectorCost

#: Cycles from the launch to the first group's claim, and from a burst to the bus's memory.
_FIRST_CLAIM = 2
_TO_BUS = 2

#: Cycles from a run of rows to its burst, and from a group's end to the room that it leaves.
_TO_BURST = 2
_ROOM = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """A matrix-vector product.

    Attributes
    ----------
    vector : VectorCost
        The vector.
    layout : WeightFormat
        Format of the weights.
    sums : bool
        Whether they have row sums.
    inputs, outputs : int
        Elements of the vector, and outputs that are drained.
    tiles, address : int
        Tiles in memory, and their byte address.
    reuse : bool
        The vector is encoded already.
    """

    vector: VectorCost
    layout: WeightFormat
    sums: bool
    inputs: int
    outputs: int
    tiles: int
    address: int
    reuse: bool

    @property
    def head_beats(self) -> int:
        """Beats before the rows of a group, for a part of a tile."""
        return self.layout.head_beats(sums=self.sums)


class Multiply:
    """A product from the cycle in which it starts; ``end`` is known once all is asked for.

    Parameters
    ----------
    params : CoreParams
        The core.
    product : Product
        What it multiplies.
    start : int
        Cycle in which it starts.
    """

    def __init__(self, params: CoreParams, product: Product, *, start: int) -> None:
        self._params, self._product = params, product
        self._launch = start + CHECK + LAUNCH
        self._lanes = Lanes(
            params,
            product.vector,
            head_beats=product.head_beats,
            start=self._launch,
            chases=not product.reuse,
        )

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles in which the lanes waited, by what for."""
        return self._lanes.stalls

    @property
    def end(self) -> int:
        """Cycle in which lanes and drain have ended."""
        tile = self._product.layout.outputs(self._params.lanes)
        written, asked = self._lanes.written(), 0
        for cycle, first in zip(written, range(0, self._product.outputs, tile), strict=False):
            asked = max(asked, cycle) + min(tile, self._product.outputs - first)
        return max(written[-1] + 1, asked + DRAIN)

    def requests(self) -> Requests:
        """Ask for the groups of all tiles, and integrate them."""
        params, product, lanes = self._params, self._product, self._lanes
        blocks = len(product.vector.rows)
        beat, bus = params.beat_bits // 8, params.axi_data_width // 8
        pace = max(1, bus // beat)
        span = (product.head_beats + BLOCK) * params.sub_tiles * beat
        known = [] if product.reuse else [self._launch + c for c in product.vector.known]
        pops = deque([0] * params.outstanding, maxlen=params.outstanding)
        taken = deque([0, 0], maxlen=2)
        state = self._launch + _FIRST_CLAIM
        for group in range(product.tiles * blocks):
            block, address = group % blocks, product.address + group * span
            if group >= params.ring_groups:
                state = max(state, lanes.entered[group - params.ring_groups + 1] + _ROOM)
            unmasked = known[block] if group < blocks and known else 0
            together = unmasked <= state
            for runs in self._runs(block, together=together):
                for first, final in runs:
                    state = max(state + 1, taken[0])
                    for place, beats in self._split(address + first * beat, final - first + 1):
                        accepted = max(state + _TO_BURST, taken[-1] + 1, pops[0] + 1)
                        taken.append(accepted)
                        if beats:
                            burst = yield Ask(accepted + _TO_BUS, place, beats, pace)
                            pops.append(burst.last)
                        else:
                            pops.append(max(pops[-1] + 1, accepted + 1))
                state = max(state + 1, unmasked)
            lanes.take(pops[-1] + 1)

    def _runs(self, block: int, *, together: bool) -> Iterator[list[tuple[int, int]]]:
        """Yield the runs of a group's beats: head, then rows, in one list if rows are known."""
        parts, head = self._params.sub_tiles, self._product.head_beats
        rows = [(head + first, head + final) for first, final in self._product.vector.runs[block]]
        heads = [(0, head - 1)]
        if together and rows and rows[0][0] == head:
            heads, rows = [(0, rows[0][1])], rows[1:]
        beats = [[(a * parts, b * parts + parts - 1) for a, b in runs] for runs in (heads, rows)]
        if together:
            yield beats[0] + beats[1]
            return
        yield beats[0]
        yield beats[1] or [(0, -1)]

    def _split(self, address: int, beats: int) -> Iterator[tuple[int, int]]:
        """Cut a run of the core's beats into bursts of the bus's beats."""
        beat, bus = self._params.beat_bits // 8, self._params.axi_data_width // 8
        page, end = min(BOUNDARY, LONGEST * bus), address + beats * beat
        if beats == 0:
            yield address, 0
        while address < end:
            until = min(end, (address // page + 1) * page)
            yield address, (until - address) // bus
            address = until
