"""A component's stimulus and expectations as plain data, and the player that both simulators share.

Ports go by the names that they have in Verilog, their values are unsigned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

Ports = Mapping[str, int]
Read = Callable[[str], int]

#: Cycles in which nothing may come out after the end, and in which a phase must end.
QUIET = 150
PATIENCE = 20_000

#: Shares of cycles in which a source is idle or a sink holds back.
PAUSES = (0, 0.2, 0.5, 0.8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Ports that take an item in a cycle.

    ``idle`` are their values between items. An item that is offered stands until ``ready``, if
    there is such a port. Every pulse of ``gate``, if given, allows ``batch`` items.
    """

    idle: Ports
    ready: str = ""
    gate: str = ""
    batch: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sink:
    """Ports that give an item in a cycle in which ``valid`` is not 0, and the item's meaning.

    ``meaning`` takes the values of ``payload``. A sink holds back by ``ready``, if it ``pauses``.
    """

    valid: str
    payload: tuple[str, ...]
    meaning: Callable[..., Any]
    ready: str = ""
    pauses: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a scenario; it ends when all is sent and received and ``until`` is 1.

    ``hold`` are values of ports from here on, ``pulse`` ports that are 1 in the first cycle, and
    ``after`` is what ports must be in the last.
    """

    hold: Ports = dataclasses.field(default_factory=dict)
    pulse: tuple[str, ...] = ()
    send: Mapping[str, Sequence[Ports]] = dataclasses.field(default_factory=dict)
    expect: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    until: str = ""
    after: Ports = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens to a component from its reset on.

    A component with a port ``axi`` has ``memory`` behind it, of which it reads ``beats`` beats.
    """

    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    phases: Sequence[Phase]
    memory: bytes = b""
    beats: int = 0


class _Feed:
    """A source in a phase."""

    def __init__(self, source: Source, items: Sequence[Ports], rng: np.random.Generator):
        self._source, self._items, self._rng = source, items, rng
        self._pause = rng.choice(PAUSES)
        self._sent, self._offers = 0, False
        self._allowed = 0 if source.gate else len(items)

    @property
    def done(self) -> bool:
        return self._sent == len(self._items)

    def drive(self) -> Ports:
        may = self._sent < min(self._allowed, len(self._items))
        self._offers = self._offers or (may and self._rng.random() >= self._pause)
        return self._items[self._sent] if self._offers else self._source.idle

    def step(self, read: Read) -> None:
        source = self._source
        if source.gate and read(source.gate):
            assert self._allowed <= self._sent < len(self._items), f"an extra {source.gate}"
            self._allowed += source.batch
        if self._offers and (not source.ready or read(source.ready)):
            self._offers, self._sent = False, self._sent + 1


class _Drain:
    """A sink, over all phases."""

    def __init__(self, name: str, sink: Sink, rng: np.random.Generator):
        self._name, self._sink, self._rng = name, sink, rng
        self._held: tuple | None = None
        self.begin(())

    @property
    def done(self) -> bool:
        return self._received == len(self._wanted)

    def begin(self, wanted: Sequence) -> None:
        self._wanted, self._received = wanted, 0
        self._pause = self._rng.choice(PAUSES) if self._sink.pauses else 0

    def drive(self) -> Ports:
        self._takes = not self._sink.ready or self._rng.random() >= self._pause
        return {self._sink.ready: int(self._takes)} if self._sink.ready else {}

    def step(self, read: Read) -> None:
        item = None
        if read(self._sink.valid):
            item = self._sink.meaning(*map(read, self._sink.payload))
        assert self._held in (None, item), f"{self._name} did not wait: {self._held}, then {item}"
        self._held = None if self._takes else item
        if item is None or not self._takes:
            return
        assert not self.done, f"{self._name} gives an extra item: {item}"
        wanted = self._wanted[self._received]
        assert item == wanted, f"{self._name} {self._received}: {item}, expected {wanted}"
        self._received += 1


def play(scenario: Scenario, rng: np.random.Generator) -> Generator[Ports, Read, None]:
    """Play a scenario with random pauses.

    Yields the ports to drive in each cycle; wants to be sent a function that reads ports as they
    are at the cycle's end.
    """
    drains = {name: _Drain(name, sink, rng) for name, sink in scenario.sinks.items()}
    pulses = {port for phase in scenario.phases for port in phase.pulse}
    for phase in [*scenario.phases, None]:
        quiet, phase = phase is None, phase or Phase()
        sources = scenario.sources.items()
        feeds = [_Feed(source, phase.send.get(name, ()), rng) for name, source in sources]
        for name, drain in drains.items():
            drain.begin(phase.expect.get(name, ()))
        ends = [*feeds, *drains.values()]
        for cycle in range(PATIENCE):
            driven = dict(phase.hold) | {
                port: int(not cycle and port in phase.pulse) for port in pulses
            }
            for end in ends:
                driven |= end.drive()
            read = yield driven
            for end in ends:
                end.step(read)
            done = all(end.done for end in ends) and (not phase.until or read(phase.until))
            if done and (not quiet or cycle == QUIET):
                break
        else:
            left = [name for name, drain in drains.items() if not drain.done]
            raise AssertionError(f"a phase does not end: wanted {left or phase.until or 'to send'}")
        assert {port: read(port) for port in phase.after} == dict(phase.after)
