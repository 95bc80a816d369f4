"""A small model on small cores, behind several memories, and what its tokens must be."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch

from hw.spec.params import CoreConfig, CoreParams
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from sw.compile.program import compile_program
from sw.driver.token import TokenDevice
from sw.golden.program import Best, Interpreter
from sw.load.checkpoint import LlamaConfig
from tests.unit.golden.models import random_model

MAC = CoreConfig(
    lanes=8, memory_beats=4096, max_inputs=64, max_outputs=128, memory="axi", batch=4,
    vector_words=512,
)  # fmt: skip
SPIKE = MAC.replace(integrator="spike", tile_lanes=16, axi_data_width=64, batch=1)
CORES = {"mac": MAC, "spike": SPIKE}

#: Small enough for a token of a few thousand cycles.
MODEL = LlamaConfig(
    layers=1, width=32, ffn_width=32, heads=2, kv_heads=1, head_width=16, vocabulary=43, context=24,
    rope_theta=100.0, rope_interleaved=False, norm_epsilon=1e-5, tied_head=True,
)  # fmt: skip

MEMORIES = (
    MemoryModel(),
    MemoryModel(latency=30, granule=64, row_miss=9, page=256),
    MemoryModel(latency=7, jitter=20, seed=1),
    MemoryModel(latency=80, jitter=3, beat_interval=5, seed=2),
    MemoryModel(latency=2, address_cost=9, jitter=3, seed=3),
)

#: Counters that do not depend on the memory's timing.
COUNTED = ("spikes", "silent", "integer_events", "steps", "rows_read", "beats_read")


class StruckTransport(VerilatedTransport):
    """Strikes the core while the driver waits for it."""

    strike: Callable[[], None] | None = None

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Strike once, then wait."""
        strike, self.strike = self.strike, None
        if strike:
            strike()
        super().wait(address, mask, value, max_cycles)


class Rig:
    """A model on a core, behind several memories, and what its tokens must be.

    Parameters
    ----------
    core : str
        Name of one of :data:`CORES`.
    """

    def __init__(self, core: str):
        torch.set_num_threads(1)
        self.params = CoreParams(CORES[core])
        self.program = compile_program(random_model(MODEL), self.params, name=core)
        self.tokens = [5, 17, 0, 42, 9, 9, 31]
        image = np.zeros(self.params.memory_beats * self.params.beat_bits // 8, np.uint8)
        image[: self.program.image.size] = self.program.image
        self.images = [image]
        for position, token in enumerate(self.tokens):
            self.images.append(self.run(self.images[-1], token, position)[2])

    def run(self, image: np.ndarray, token: int, position: int):
        """Run a token in the golden model; return logits, counters and memory."""
        image = image.copy()
        interpreter = Interpreter(self.params, image.view(np.uint32))
        interpreter.run(self.program.address, token=token, position=position)
        counters = {name: interpreter.counters[name] for name in COUNTED}
        return list(interpreter.best), counters, image

    @functools.cache  # noqa: B019
    def expected(self, token: int, position: int) -> tuple[list[Best], dict, np.ndarray]:
        """What a token makes behind the ones before it."""
        return self.run(self.images[position], token, position)

    @functools.cache  # noqa: B019
    def device(self, memory: int) -> TokenDevice:
        """Return the core behind a memory."""
        transport = StruckTransport(self.params, memory=MEMORIES[memory])
        return TokenDevice(transport, self.params, self.program)

    @functools.cache  # noqa: B019
    def cost(self, memory: int) -> tuple[int, int, int]:
        """Cycles, beats read and bytes written of a long token."""
        device, position = self.device(memory), len(self.tokens) - 1
        device.transport.load(0, self.images[position])
        device.length = position
        before = device.transport.memory_counts()
        self.check(device, self.tokens[position], position)
        after = device.transport.memory_counts()
        return device.cycles, after.beats - before.beats, after.writes - before.writes

    def check(self, device: TokenDevice, token: int, position: int) -> None:
        """Run a token undisturbed: logits, counters and memory are right."""
        best = device.step(token, position)
        expected, counters, image = self.expected(token, position)
        assert best == expected
        assert {name: device.counters[name] for name in COUNTED} == counters
        assert np.array_equal(device.transport.dump(0, image.size), image)
        assert device.transport.memory_counts().violations == 0


@functools.cache
def rig(core: str) -> Rig:
    """Return the only rig of a core."""
    return Rig(core)
