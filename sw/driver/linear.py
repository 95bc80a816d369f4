"""Every multiplication by a weight on a device, behind the golden model's ``linear`` hook."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES
from sw.convert.container import ConvertedModel
from sw.convert.encoder import ConvertedEncoder
from sw.driver.device import Device
from sw.driver.result import Result
from sw.golden.linear import input_site
from sw.golden.matrix import Matrix


class DeviceLinear:
    """Multiplies on a device and adds up its counters.

    Parameters
    ----------
    device : Device
        With the model's image loaded.
    model : ConvertedModel or ConvertedEncoder
        Source of the quantizers.
    table : str
        Code table.

    Attributes
    ----------
    counters : dict
        Totals of everything the device counted, and ``window_steps``.
    last : Result
        What the latest multiplication left behind.
    """

    def __init__(self, device: Device, model: ConvertedModel | ConvertedEncoder, *, table: str):
        self.device, self.model, self.table = device, model, table
        self.last: Result | None = None
        self.counters: dict[str, int] = {
            **dict.fromkeys(device.counter_names, 0),
            "window_steps": 0,
        }

    def __call__(self, name: str, matrix: Matrix, x: Tensor) -> tuple[np.ndarray, int]:
        """Multiply one vector; return accumulators and the base exponent."""
        result = self.device.matvec(
            name,
            np.asarray(x),
            quantizer=self.model.quantizer(input_site(name), self.table),
            table=self.table,
        )
        self.last = result
        for counter, count in result.counters.items():
            self.counters[counter] += count
        self.counters["window_steps"] += -(-len(x) // BLOCK) * TABLES[self.table].steps
        return result.accumulators, result.base
