"""A random instruction for the bench under cocotb, and what the golden model says of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import FORMATS
from hw.spec.registers import Error
from sw.compile.image import needs_sums, pack_matrix
from sw.golden.codes import Encoded, encode, from_codes
from sw.golden.counters import event_counters, memory_counters
from sw.golden.matrix import Matrix
from tests.rtl.cocotb_host import CONFIG, PARAMS, Host
from tests.unit.golden.models import random_matrix

DONE = {"busy": 0, "done": 1, "error": Error.NONE}


@dataclasses.dataclass
class Instruction:
    """Random matrix, vector and quantizer, and where the matrix lies."""

    rng: np.random.Generator
    inputs: int
    rows: int
    format: str = "w4"
    table: str = "companded"
    codes: bool = False

    def __post_init__(self):
        torch.set_num_threads(1)
        rng = self.rng
        self.weights = random_matrix(rng, self.rows, self.inputs, FORMATS[self.format])
        table = TABLES[self.table]
        self.silent = int(rng.integers(16)) if table.masked else table.silent_level
        self.sums = needs_sums(self.table, self.silent)
        self.image = pack_matrix(self.weights, CONFIG.lanes, sums=self.sums).words
        self.beats = self.image.size // PARAMS.words_per_beat
        self.base = int(rng.choice([0, rng.integers(CONFIG.memory_beats - self.beats + 1)]))
        self.constant, self.threshold = int(rng.integers(1, 2000)), int(rng.choice([4, 0, 23]))
        if self.codes:
            self.x = rng.integers(-255, 256, self.inputs) * (rng.random(self.inputs) < 0.7)
        else:
            spread = rng.choice([3, 900, 20000])
            self.x = np.clip(rng.laplace(0, spread, self.inputs), -32767, 32767).astype(np.int64)

    async def load(self, host: Host) -> None:
        """Write weights, inputs and registers."""
        await host.write_memory(self.base, self.image)
        await host.write_window("input", 0, self.x & 0xFFFFFFFF)
        await host.write("shape", inputs=self.inputs, tiles=len(self.image))
        await host.write("weight_base", self.base)
        table, layout = TABLES[self.table].number, FORMATS[self.format].number
        codes, sums = int(self.codes), int(self.sums)
        await host.write("mode", table=table, format=layout, codes=codes, sums=sums)
        quantizer = self.constant | self.threshold << 12 | self.silent << 20
        await host.write("quantizer", quantizer)

    def encoded(self) -> Encoded:
        """Vector as the golden model sees it."""
        x, table = torch.from_numpy(self.x), TABLES[self.table]
        if self.codes:
            return from_codes(x, table=table)
        return encode(
            x,
            table=table,
            constant=self.constant,
            threshold=self.threshold,
            silent_level=self.silent,
        )

    async def check(self, host: Host, status: dict = DONE) -> None:
        """Wait for the end; outputs, base exponent and counters are the golden model's."""
        await host.wait()
        assert await host.status() == status
        encoded, layout = self.encoded(), FORMATS[self.format]
        assert await host.outputs(self.rows) == Matrix(self.weights).matvec(encoded).tolist()
        assert await host.read("scale_base") == int(encoded.base)
        expected = event_counters(encoded) | memory_counters(
            encoded,
            weight_format=layout,
            rows=self.rows,
            lanes=CONFIG.lanes,
            integrator=CONFIG.integrator,
            memory=CONFIG.memory,
            hole=CONFIG.hole,
        )
        counted = await host.counters()
        del expected["window_steps"]
        assert {name: counted[name] for name in expected} == expected

    async def run(self, host: Host) -> None:
        """Load, start and check, also that memory gave as many beats as the core counts."""
        await self.load(host)
        before = host.memory_beats if CONFIG.memory == "axi" else 0
        await host.write("control", start=1)
        await self.check(host)
        if CONFIG.memory == "axi":
            counted = await host.read("beats_read") + await host.read("beats_hole")
            assert host.memory_beats - before == counted
