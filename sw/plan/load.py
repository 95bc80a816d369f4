"""A LOAD: its bursts, and when its numbers have become words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hw.spec.axi4 import LOAD_BEATS, LOAD_BYTES, LOAD_DEPTH
from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from sw.plan.bus import Ask, Requests

#: Cycles from the start to the first burst, from there to the bus, and from a beat to its number.
_FIRST = 6
_TO_BUS = 3
_TO_NUMBER = 4

#: Cycles from the last number to the end.
_WRITE = 4


class _Piece(NamedTuple):
    """Numbers of a run that one burst brings, and the places of its first and last byte."""

    address: int
    beats: int
    numbers: int
    first: int


class Load:
    """A LOAD from the cycle in which it starts; ``end`` is known once all is asked for.

    Parameters
    ----------
    params : CoreParams
        The core.
    instruction : Instruction
        LOAD.
    count, origin : int
        Its numbers, and the byte address of the first.
    start : int
        Cycle in which it starts.
    granted : int
        Cycle until which another unit writes to vector memory.

    Attributes
    ----------
    end : int
        Cycle in which it has ended.
    useful : int
        Beats of which at least half the bytes are used.
    """

    def __init__(
        self,
        params: CoreParams,
        instruction: Instruction,
        *,
        count: int,
        origin: int,
        start: int,
        granted: int,
    ) -> None:
        self._instruction, self._count, self._origin = instruction, count, origin
        self._bus = params.axi_data_width // 8
        self._block = min(LOAD_BEATS * self._bus, LOAD_BYTES)
        self._start, self._granted = start, granted
        self.end, self.useful = start, 0

    def requests(self) -> Requests:
        """Ask for burst after burst while there is room; take a number a cycle."""
        size, asked, number = self._instruction["size"], self._start + _FIRST - 1, self._granted
        freed: list[int] = []  # cycles in which beats have left
        beats = 0
        for piece in self._pieces():
            asked += 1
            beats += piece.beats
            if beats > LOAD_DEPTH:
                asked = max(asked, freed[beats - LOAD_DEPTH - 1] + 1)
            burst = yield Ask(asked + _TO_BUS, piece.address, piece.beats)
            left, place = piece.numbers, piece.first
            for beat in range(piece.beats):
                come = burst.first + beat * max(1, (burst.last - burst.first) // piece.beats)
                taken = min(left, (self._bus - place) // size)
                number = max(number + taken, come + _TO_NUMBER + taken - 1)
                freed.append(number)
                self.useful += 2 * taken * size >= self._bus
                left, place = left - taken, 0
        self.end = number + _WRITE

    def _pieces(self) -> Iterator[_Piece]:
        """Cut runs of neighbouring numbers at the blocks that bursts stay within."""
        size = self._instruction["size"]
        for address, numbers in self._runs():
            end = address + numbers * size
            while address < end:
                until = min(end, (address // self._block + 1) * self._block)
                first = address % self._bus
                beats = -(-(first + until - address) // self._bus)
                yield _Piece(address - first, beats, (until - address) // size, first)
                address = until

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Address and length of runs of neighbouring numbers."""
        i, left = self._instruction, self._count
        joined = i["inner"] and i["inner_stride"] == i["size"]
        base = self._origin
        while left:
            inner = min(left, i["inner"])
            if joined:
                yield base, inner
            else:
                yield from ((base + k * i["inner_stride"], 1) for k in range(inner))
            left -= inner
            base += i["outer_stride"]
