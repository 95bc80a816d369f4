"""Deliberate faults, to show that `verify` finds and names them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from hw.spec.codes import BLOCK
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.golden.classify import CodeClass
from sw.golden.codes import encode
from sw.golden.linear import GoldenLinear, input_site
from sw.golden.matrix import Matrix

#: Kinds of fault. An event of the ``spike`` integrator is a digit in time, whose change cannot be
#: foretold from the codes; faults there strike weights and accumulators only.
KINDS = {"mac": ("weight", "event", "accumulator"), "spike": ("weight", "accumulator")}
_FAULT_KIND = {"event": 1, "accumulator": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What was injected, and where it must be seen first.

    Attributes
    ----------
    kind : str
        ``"weight"``: a bit in device memory; ``"event"``: a bit of an event's code, only of the
        ``mac`` integrator; ``"accumulator"``: a bit of an output.
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
        kinds = KINDS[device.device.params.integrator]
        self._kind = kinds[self._random.integers(len(kinds))]
        self._call = int(self._random.integers(calls))
        self.fault: Fault | None = None

    def __call__(self, call: int, name: str, matrix: Matrix, x: np.ndarray) -> None:
        """Inject the fault if it is this multiplication's turn."""
        if call != self._call or self.fault is not None:
            return
        events = self._firing(name, x)
        if len(events):
            self.fault = getattr(self, f"_{self._kind}_fault")(name, matrix, events)
            self.fault.plant(self._device.device)

    def _firing(self, name: str, x: np.ndarray) -> np.ndarray:
        """List the inputs that fire, in the order of the events of ``mac``."""
        quantizer = self._golden.model.quantizer(input_site(name), self._golden.table.name)
        encoded = encode(
            torch.from_numpy(x.astype(np.int64)),
            table=self._golden.table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent_level=quantizer.silent_level,
        )
        fires = (CodeClass.SPIKE, CodeClass.INTEGER)
        return np.flatnonzero(np.isin(encoded.classes.flatten().numpy(), fires))

    def _weight_fault(self, name: str, matrix: Matrix, events: np.ndarray) -> Fault:
        while True:
            column = int(self._random.choice(events))
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

    def _event_fault(self, name: str, matrix: Matrix, events: np.ndarray) -> Fault:
        weights = matrix.weights
        # Of 16 * h + l + 8 the 8 is multiplied by the sum of the codes, which stays right.
        unread = 8 if weights.format.name == "w8" else 0
        while True:
            index = int(self._random.integers(len(events)))
            column = events[index]
            felt = np.flatnonzero(
                weights.d[:, column // BLOCK] * (weights.codes[:, column].astype(int) - unread)
            )
            if len(felt):
                break
        bit = int(self._random.integers(self._device.device.params.code_width))
        return Fault(
            kind="event",
            matrix=name,
            element=int(felt[0]),
            text=f"bit {bit} of the code of event {index} (input {column}) of {name}",
            plant=lambda device: device.inject(kind=_FAULT_KIND["event"], index=index, bit=bit),
        )

    def _accumulator_fault(self, name: str, matrix: Matrix, events: np.ndarray) -> Fault:
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
