"""Latest arrivals along arcs with delays, and the slow paths among them, by their two ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from hw.synth import harness
from tools.area_job import plain, signal

Node = TypeVar("Node", bound=Hashable)


class SlowPath(NamedTuple):
    """A slow path: ns, the signals at which it begins and ends, and how many there are."""

    delay: float
    begin: str
    end: str
    count: int

    def __str__(self) -> str:
        return f"{self.delay:6.1f} ns  {self.count:5}  {self.begin} to {self.end}"


class Arrival(NamedTuple):
    """When a signal is there at the latest, and the cell of the register that it comes from."""

    delay: float
    begin: str


class End(NamedTuple, Generic[Node]):
    """Where paths end: a node, the delay from there on, and the pin of a cell with a register."""

    node: Node
    delay: float
    cell: str
    pin: str


class Arrivals(Generic[Node]):
    """Latest arrivals at the nodes behind registers, but for those in and behind loops.

    Parameters
    ----------
    begins : mapping of node to Arrival
        Outputs of registers. All delays have one unit, the caller's.
    arcs : mapping of node to sequence of (node, delay)
        Ways from each node.
    """

    def __init__(
        self,
        begins: Mapping[Node, Arrival],
        arcs: Mapping[Node, Sequence[tuple[Node, float]]],
    ) -> None:
        self._latest = dict(begins)
        waits = Counter(target for ways in arcs.values() for target, _ in ways)
        ready = [node for node in {**begins, **arcs} if not waits[node]]
        while ready:
            node = ready.pop()
            reached = self._latest.get(node)
            for target, delay in arcs.get(node, ()):
                if reached is not None:
                    self._offer(target, Arrival(reached.delay + delay, reached.begin))
                waits[target] -= 1
                if not waits[target]:
                    ready.append(target)

    def _offer(self, node: Node, arrival: Arrival) -> None:
        known = self._latest.get(node)
        if known is None or arrival.delay > known.delay:
            self._latest[node] = arrival

    def slow(self, ends: Iterable[End[Node]], limit: float) -> list[SlowPath]:
        """Return the paths above a limit, the slowest first, those between equals as one."""
        found: dict[tuple[str, str], tuple[float, int]] = {}
        for node, setup, cell, pin in ends:
            arrival = self._latest.get(node)
            if arrival is None or arrival.delay + setup <= limit:
                continue
            role = f":{pin}" if pin in ("CE", "LSR") else ""
            names = name_of(arrival.begin), name_of(cell) + role
            most, count = found.get(names, (0.0, 0))
            found[names] = max(most, arrival.delay + setup), count + 1
        paths = [SlowPath(delay, *names, count) for names, (delay, count) in found.items()]
        return sorted(paths, reverse=True)


def name_of(cell: str) -> str:
    """Return the name of what a cell drives, without numbers of bits and of equal parts."""
    name = signal(cell.removeprefix(f"{harness.INSTANCE}."))
    return re.sub(r"(_\d+|(\.\d+)+|_D[OI][AB]\d+)$", "", plain(name))
