"""The read port of device memory: bursts of several managers, in time order."""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import NamedTuple, Protocol


class Timing(Protocol):
    """Timing of a memory, as :class:`sim.memory.MemoryModel` explains it."""

    latency: int
    beat_interval: int
    granule: int
    address_cost: int
    page: int
    row_miss: int
    jitter: int
    seed: int


class Ask(NamedTuple):
    """A burst: the cycle in which its address reaches the memory, its place, and its pace.

    ``pace`` is the fewest cycles from a beat to the next that its manager needs.
    """

    cycle: int
    address: int
    beats: int
    pace: int = 1


class Burst(NamedTuple):
    """Cycles in which the first and the last beat of a burst are there."""

    first: int
    last: int


#: What a manager asks for, one burst after the other; it is told when each comes.
Requests = Generator[Ask, Burst, None]


class Manager:
    """A manager's requests, and when its last data came."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self.next: Ask | None = next(requests, None)
        self.beats = 0

    def answer(self, burst: Burst, beats: int) -> None:
        """Tell when a burst comes, and take the next request."""
        self.beats += beats
        try:
            self.next = self._requests.send(burst)
        except StopIteration:
            self.next = None


class Bus:
    """Serves the earliest request first.

    Jitter of addresses and latencies is drawn anew: its mean alone would say too little where one
    of several must be awaited. That of beats, of which it strikes one in eight, is its mean.

    Parameters
    ----------
    timing : Timing
        The memory.
    beat_bytes : int
        Bytes of a bus beat.

    Attributes
    ----------
    beats : int
        Beats that were transferred.
    """

    def __init__(self, timing: Timing, *, beat_bytes: int) -> None:
        self._timing, self._beat_bytes = timing, beat_bytes
        self._managers: list[Manager] = []
        self._address_free, self._data_free = 0, 0
        self._page, self._shaken = -1, 0
        self._random = random.Random(timing.seed)
        self.beats = 0

    def start(self, requests: Requests) -> Manager:
        """Let a manager begin."""
        manager = Manager(requests)
        self._managers.append(manager)
        return manager

    def finish(self, manager: Manager) -> None:
        """Serve all managers in turn until this one needs no more."""
        while manager.next is not None:
            self._serve()

    def advance(self, cycle: int) -> None:
        """Serve all that managers ask for up to a cycle."""
        while any(each.next is not None and each.next.cycle <= cycle for each in self._managers):
            self._serve()

    def _serve(self) -> None:
        self._managers = [each for each in self._managers if each.next is not None]
        chosen = min(self._managers, key=_cycle)
        ask = chosen.next
        assert ask is not None
        chosen.answer(self.read(ask), ask.beats)

    def read(self, ask: Ask) -> Burst:
        """Transfer a burst."""
        timing, beat, interval = self._timing, self._beat_bytes, self._timing.beat_interval
        accepted = max(ask.cycle, self._address_free)
        self._address_free = accepted + timing.address_cost + self._jitter()
        end = ask.address + ask.beats * beat
        first_page, last_page = ask.address // timing.page, (end - 1) // timing.page
        misses = last_page - first_page + (first_page != self._page)
        self._page = last_page
        ahead = ask.address % timing.granule // beat
        first = max(self._data_free, accepted + timing.latency + self._jitter())
        first += ahead * interval + misses * timing.row_miss
        shaken, self._shaken = divmod(self._shaken + ask.beats * timing.jitter, 16)
        pace = max(interval, ask.pace)
        last = first + (ask.beats - 1) * pace + shaken
        behind = -end % timing.granule // beat
        self._data_free = last + pace + behind * interval
        self.beats += ask.beats
        return Burst(first, last + ask.pace - 1)

    def _jitter(self) -> int:
        return self._random.randint(0, self._timing.jitter) if self._timing.jitter else 0


def _cycle(manager: Manager) -> int:
    assert manager.next is not None
    return manager.next.cycle
