"""A MATVEC: bursts of its weights, integration, and the draining of its outputs."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hw.spec.axi4 import BOUNDARY, LONGEST
from hw.spec.codes import BLOCK
from hw.spec.cycles import CHECK, LAUNCH
from hw.spec.formats import WeightFormat
from hw.spec.params import CoreParams
from hw.spec.token_cycles import DRAIN
from sw.plan.bus import Ask, Requests
from sw.plan.encoder import EncodedVector, MarkedBank
from sw.plan.lanes import Lanes

#: Cycles from the launch to the first group's claim, and from a burst to the bus's memory.
_FIRST_CLAIM = 1
_TO_BUS = 2

#: Cycles from a run of rows to its burst, and from a group's end to the room that it leaves.
_TO_BURST = 2
_ROOM = 2

#: Cycles from the end of lanes and drain until the sequencer knows of it.
_END = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """A matrix times vectors.

    Attributes
    ----------
    vectors : sequence of EncodedVector
        The vectors.
    bank : MarkedBank
        Rows that are fetched.
    layout : WeightFormat
        Format of the weights.
    sums : bool
        Whether they have row sums.
    counted : bool
        Whether they are weights, not a cache.
    inputs, outputs : int
        Elements of a vector, and outputs of each that are drained.
    tiles, address : int
        Tiles in memory, and their byte address.
    """

    vectors: Sequence[EncodedVector]
    bank: MarkedBank
    layout: WeightFormat
    sums: bool
    counted: bool
    inputs: int
    outputs: int
    tiles: int
    address: int

    @property
    def head_beats(self) -> int:
        """Beats before the rows of a group, for a part of a tile."""
        return self.layout.head_beats(sums=self.sums)


class _Runs(NamedTuple):
    """First and final beats of the runs of a group."""

    together: list[tuple[int, int]]
    head: list[tuple[int, int]]
    rows: list[tuple[int, int]]


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
            params, product.vectors, head_beats=product.head_beats, start=self._launch
        )

    @property
    def counted(self) -> bool:
        """Whether it counts in the totals of the token."""
        return self._product.counted

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles in which the lanes waited, by what for."""
        return self._lanes.stalls

    @property
    def multiplied(self) -> int:
        """Cycle in which all outputs have been written."""
        return self._lanes.written()[-1]

    @property
    def end(self) -> int:
        """Cycle in which lanes and drain have ended."""
        params, product = self._params, self._product
        lanes = product.layout.outputs(params.lanes)
        parts = range(params.sub_tiles)
        order = itertools.product(range(product.tiles), product.vectors, parts)
        asked = 0
        for cycle, (tile, _, part) in zip(self._lanes.written(), order, strict=True):
            left = product.outputs - (tile * params.sub_tiles + part) * lanes
            if left > 0:
                asked = max(asked, cycle) + min(lanes, left)
        return max(self.multiplied + 1, asked + DRAIN) + _END

    def requests(self) -> Requests:
        """Ask for the groups of all tiles, and integrate them."""
        params, product, lanes = self._params, self._product, self._lanes
        groups = [self._runs(runs) for runs in product.bank.marks.runs]
        blocks, known = len(groups), product.bank.known
        beat, bus = params.beat_bits // 8, params.axi_data_width // 8
        pace = max(1, bus // beat)
        span = (product.head_beats + BLOCK) * params.sub_tiles * beat
        pops = deque([0] * params.outstanding, maxlen=params.outstanding)
        taken = deque([0, 0], maxlen=2)
        state = self._launch + _FIRST_CLAIM
        for group in range(product.tiles * blocks):
            block, address = group % blocks, product.address + group * span
            if group >= params.ring_groups:
                state = max(state, lanes.entered[group - params.ring_groups + 1] + _ROOM)
            runs, unmasked = groups[block], known[block] if group < blocks else 0
            for some in [runs.together] if unmasked <= state else [runs.head, runs.rows]:
                state += 1  # rows are marked
                for first, final in some:
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

    def _runs(self, marked: list[tuple[int, int]]) -> _Runs:
        """Head and rows of a group, in one list as soon as the rows are known."""
        parts, head = self._params.sub_tiles, self._product.head_beats
        heads, rows = [(0, head - 1)], [(head + first, head + final) for first, final in marked]
        joined = [(0, rows[0][1]), *rows[1:]] if rows and rows[0][0] == head else heads + rows
        joined, heads, rows = (
            [(first * parts, final * parts + parts - 1) for first, final in runs]
            for runs in (joined, heads, rows)
        )
        return _Runs(joined, heads, rows or [(0, -1)])

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
