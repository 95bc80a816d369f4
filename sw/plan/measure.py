"""The planned token on a simulated core whose caches hold those before; a planned sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hw.spec.params import CoreParams
from sw.compile.encoder_program import EncoderProgram
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.driver.encoder import EncoderDevice
from sw.driver.token import TokenDevice
from sw.driver.transport import Transport
from sw.plan.caches import fill_caches


class Measured(NamedTuple):
    """Cycles of a token or a sentence, and beats that the memory gave for it."""

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


def measure_sentence(
    transport: Transport,
    program: EncoderProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    beats: Callable[[], int],
) -> Measured:
    """Let a core encode a sentence; arguments as of :func:`measure`."""
    device = EncoderDevice(transport, params, program)
    loaded = beats()
    device.encode(tokens)
    return Measured(device.cycles, beats() - loaded)
