"""Deliberate faults, to show that `verify` finds and names them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from hw.spec.codes import BLOCK, digits
from hw.spec.params import CoreParams
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.golden.classify import LARGEST_DECODED
from sw.golden.codes import Encoded, encode
from sw.golden.linear import GoldenLinear, input_site
from sw.golden.matrix import Matrix
from sw.golden.sums import relative_levels, windows

#: Kinds of fault.
KINDS = ("weight", "event", "accumulator")
_FAULT_KIND = {"event": 1, "accumulator": 2}


class StruckEvent(NamedTuple):
    """An event, and the bits of it whose inversion changes sums in a way that can be foretold.

    Attributes
    ----------
    number : int
        The event's number in its vector.
    column : int
        The input whose row it reads.
    bits : list of int
        Bits of the code, or for ``spike`` of the level.
    """

    number: int
    column: int
    bits: list[int]


def mac_events(encoded: Encoded) -> list[StruckEvent]:
    """All events of a vector: any bit of a code changes the row's multiple."""
    bits = list(range(CoreParams.code_width))
    return [StruckEvent(number, column, bits) for number, column in enumerate(firing(encoded))]


def spike_events(encoded: Encoded) -> list[StruckEvent]:
    """Events that are alone in their time step, and bits that leave them between their neighbours.

    The order within a step is free, and time cannot run backwards.
    """
    found, fired = [], 0
    latest = digits(LARGEST_DECODED)[0], LARGEST_DECODED
    for block, pair in enumerate(zip(*windows(encoded), strict=True)):
        for first, levels in zip(latest, pair, strict=True):
            events = sorted(
                ((abs(level), row) for row, level in enumerate(levels.tolist()) if level),
                reverse=True,
            )
            steps = [first, *(level for level, _ in events), 0]
            for i, (level, row) in enumerate(events):
                before, after = steps[i], steps[i + 2]
                if level > after and (level < before or i == 0):
                    bits = [b for b in range(8) if after <= level ^ 1 << b <= before]
                    found.append(StruckEvent(fired + i, BLOCK * block + row, bits))
            fired += len(events)
    return [event for event in found if event.bits]


EVENTS = {"mac": mac_events, "spike": spike_events}


def firing(encoded: Encoded) -> list[int]:
    """List the inputs whose rows are read."""
    return relative_levels(encoded).flatten().nonzero().flatten().tolist()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What was injected, and where it must be seen first.

    Attributes
    ----------
    kind : str
        ``"weight"``: a bit in device memory; ``"event"``: a bit of an event's code, or for
        ``spike`` of its level; ``"accumulator"``: a bit of an output.
    matrix : str
        The multiplication that it strikes.
    element : int
        First output that it changes.
    text : str
        Description for people.
    plant : callable
        Puts the fault into a device, before the multiplication.
    """

    kind: str
    matrix: str
    element: int
    text: str
    plant: Callable[[Device], None]


class FaultInjector:
    """Plants one fault before one multiplication of the first token.

    Only places that matter are struck: weights of rows that fire and whose scale is not zero, and
    events that reach such weights; a fault elsewhere changes nothing that could be seen.

    Parameters
    ----------
    golden : GoldenLinear
        Knows the codes of each vector.
    device : DeviceLinear
        Receives the fault.
    calls : int
        Multiplications of a token, of which the seed chooses one.
    seed : int
        Decides kind and place.

    Attributes
    ----------
    fault : Fault or None
        What was injected, once it has been.
    """

    def __init__(self, golden: GoldenLinear, device: DeviceLinear, *, calls: int, seed: int):
        self._random = np.random.default_rng(seed)
        self._golden, self._device = golden, device
        self._kind = KINDS[self._random.integers(len(KINDS))]
        self._call = int(self._random.integers(calls))
        self.fault: Fault | None = None

    def __call__(self, call: int, name: str, matrix: Matrix, x: np.ndarray) -> None:
        """Inject the fault from its multiplication on, into the first where it can be seen."""
        if call < self._call or self.fault is not None:
            return
        self.fault = getattr(self, f"_{self._kind}_fault")(name, matrix, self._encode(name, x))
        if self.fault:
            self.fault.plant(self._device.device)

    def _encode(self, name: str, x: np.ndarray) -> Encoded:
        quantizer = self._golden.model.quantizer(input_site(name), self._golden.table.name)
        return encode(
            torch.from_numpy(x.astype(np.int64)),
            table=self._golden.table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent_level=quantizer.silent_level,
        )

    def _weight_fault(self, name: str, matrix: Matrix, encoded: Encoded) -> Fault | None:
        columns = firing(encoded)
        if not columns:
            return None
        while True:
            column = int(self._random.choice(columns))
            row = int(self._random.integers(matrix.weights.rows))
            if matrix.weights.d[row, column // BLOCK]:
                break
        bit = int(self._random.integers(8 if matrix.weights.format.name == "w8" else 4))
        return Fault(
            kind="weight",
            matrix=name,
            element=row,
            text=f"bit {bit} of weight ({row}, {column}) of {name} in device memory",
            plant=lambda device: device.flip_weight_bit(name, row, column, bit),
        )

    def _event_fault(self, name: str, matrix: Matrix, encoded: Encoded) -> Fault | None:
        weights = matrix.weights
        # Of 16 * h + l + 8 the 8 is multiplied by the sum of the codes, which stays right.
        unread = 8 if weights.format.name == "w8" else 0
        events = EVENTS[self._device.device.params.integrator](encoded)
        if not events:
            return None
        struck = slice(self._device.device.outputs_at_once(name))
        while True:
            number, column, bits = events[self._random.integers(len(events))]
            codes = weights.codes[struck, column].astype(int) - unread
            felt = np.flatnonzero(weights.d[struck, column // BLOCK] * codes)
            if len(felt):
                break
        bit, element = int(self._random.choice(bits)), int(felt[0])
        return Fault(
            kind="event",
            matrix=name,
            element=element,
            text=f"bit {bit} of event {number} (input {column}) of {name}, felt from output "
            f"{element} on",
            plant=lambda device: device.inject(kind=_FAULT_KIND["event"], index=number, bit=bit),
        )

    def _accumulator_fault(self, name: str, matrix: Matrix, encoded: Encoded) -> Fault | None:
        params = self._device.device.params
        row = int(self._random.integers(self._device.device.outputs_at_once(name)))
        bit = int(self._random.integers(params.accumulator_width))
        kind = _FAULT_KIND["accumulator"]
        return Fault(
            kind="accumulator",
            matrix=name,
            element=row,
            text=f"bit {bit} of accumulator {row} of {name}",
            plant=lambda device: device.inject(kind=kind, index=row, bit=bit),
        )
