"""The planned token on a simulated core whose caches hold those before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hw.spec.params import CoreParams
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.driver.token import TokenDevice
from sw.driver.transport import Transport
from sw.plan.caches import fill_caches


class Measured(NamedTuple):
    """Cycles of a token, and beats that its memory gave."""

    cycles: int
    beats: int


def measure(
    transport: Transport,
    model: ConvertedModel,
    program: DeviceProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    beats: Callable[[], int],
    report: Callable[[int], None] = lambda position: None,
) -> Measured:
    """Let a core make the token behind some others, which the golden model puts into its caches.

    Parameters
    ----------
    transport : Transport
        A simulated core without a model.
    model : ConvertedModel
        What the program was compiled from.
    program : DeviceProgram
        Program and image.
    params : CoreParams
        The core.
    tokens : sequence of int
        Token ids, the last of which is measured.
    beats : callable
        Counts the beats that the core's memory has given.
    report : callable
        Called with every position that is in the caches.
    """
    *before, token = tokens
    memory = program.memory(params)
    fill_caches(memory, model, program, params, before, report=report)
    image = memory.view(np.uint8)[: len(program.image)]
    device = TokenDevice(transport, params, dataclasses.replace(program, image=image))
    device.length = len(before)
    loaded = beats()
    device.step(token, len(before))
    return Measured(device.cycles, beats() - loaded)
