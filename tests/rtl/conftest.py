"""Verilated cores and a minimal host; expectations come from ``tests/rtl/reference.py``."""

from __future__ import annotations

import numpy as np
import pytest

from hw.spec.codes import TABLES
from hw.spec.cycles import accounted_cycles, instruction_cycles, integrate_cycles
from hw.spec.encoder_cycles import stored_cycles
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from hw.spec.registers import COUNTERS, REGISTERS
from hw.synapse import row_masks
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from tests.rtl.reference import Matrix, encode

#: Cores with external memory. The narrow one reads holes through, the others never. Its bus is as
#: wide as its lanes take, that of the wide one a quarter, and that of the third four times as wide.
NARROW = CoreConfig(
    lanes=8, memory_beats=6000, max_inputs=1536, max_outputs=45, memory="axi", hole=3, ring_groups=5
)
WIDE = CoreConfig(
    lanes=32, memory_beats=6000, max_inputs=1536, max_outputs=130, memory="axi",
    axi_data_width=32, outstanding=3,
)  # fmt: skip
WIDE_BUS = CoreConfig(
    lanes=8, tile_lanes=32, memory_beats=6000, max_inputs=224, max_outputs=90, memory="axi",
    axi_data_width=128, outstanding=3,
)  # fmt: skip


class Host:
    """Registers by name, over a transport."""

    def __init__(self, config: CoreConfig, memory: MemoryModel | None = None):
        self.params = CoreParams(config)
        self.transport = VerilatedTransport(self.params, memory=memory)

    def write(self, name: str, value: int | None = None, **fields: int) -> None:
        word = REGISTERS[name].pack(**fields) if value is None else value
        self.transport.write(REGISTERS[name].address, word)

    def read(self, name: str) -> int:
        return self.transport.read(REGISTERS[name].address)

    def status(self) -> dict[str, int]:
        return REGISTERS["status"].unpack(self.read("status"))

    def window(self, name: str, start: int, values: np.ndarray) -> None:
        self.write(f"{name}_address", start)
        self.transport.write_window(REGISTERS[f"{name}_data"].address, values)

    def start(self, x, image, tiles, weights, table, *, base=0, constant=367, threshold=4,
              silent=0, codes=False):  # fmt: skip
        """Load everything and start; does not wait."""
        sums = silent != TABLES[table].zero
        if self.params.external:
            self.transport.load(base * self.params.beat_bits // 8, image)
        else:
            self.window("memory", base * self.params.words_per_beat, image)
        self.window("input", 0, x.astype(np.int64) & 0xFFFFFFFF)
        self.write("shape", len(x) | tiles << 16)
        self.write("weight_base", base)
        self.write("mode", TABLES[table].number | weights.number << 4 | codes << 5 | sums << 6)
        self.write("quantizer", constant | threshold << 12 | silent << 20)
        self.write("control", 1)

    def wait(self, cycles: int = 1_000_000) -> None:
        self.transport.wait(REGISTERS["status"].address, 1, 0, cycles)

    def outputs(self, count: int) -> np.ndarray:
        self.write("output_address", 0)
        words = self.transport.read_window(REGISTERS["output_data"].address, 2 * count)
        return words.view(np.int64)

    def counters(self) -> dict[str, int]:
        return {name: self.read(name) for name in COUNTERS}

    def bus_beats(self, counters: dict[str, int]) -> int:
        """Beats of the bus for what a core counts."""
        bits = (counters["beats_read"] + counters["beats_hole"]) * self.params.beat_bits
        assert bits % self.params.axi_data_width == 0
        return bits // self.params.axi_data_width

    def multiply(self, matrix: Matrix, x: np.ndarray, table: str, **options):
        """Whole instruction; returns the accumulators of the matrix's outputs."""
        sums = options.get("silent", 0) != TABLES[table].zero
        image, tiles = matrix.image(self.params.lanes, sums=sums, parts=self.params.sub_tiles)
        self.start(x, image, tiles, matrix.weights, table, **options)
        self.wait()
        return self.outputs(len(matrix.codes))

    def expected(self, matrix: Matrix, x: np.ndarray, table: str, **options) -> list[int]:
        return list(matrix.product(encode(x, table, **options)))

    def check(self, matrix: Matrix, x, table: str, *, base=0, codes=False, **options):
        """Run an instruction; outputs, status, counters and cycles must be those of the models."""
        encoded = encode(x, table, codes=codes, **options)
        got = self.multiply(matrix, x, table, base=base, codes=codes, **options)
        assert list(got) == list(matrix.product(encoded))
        assert self.status() == {"busy": 0, "done": 1, "error": 0}
        assert self.read("scale_base") == encoded.base

        params, weights = self.params, matrix.weights
        sums = options.get("silent", 0) != TABLES[table].zero
        tiles = weights.tiles(len(matrix.codes), params.tile_lanes)
        passes = tiles * params.sub_tiles
        items = encoded.items(params.integrator)
        rows = passes * encoded.rows("mac" if params.external else params.integrator)
        digits = [(len(coarse), len(fine)) for coarse, fine in encoded.windows]
        spike = params.integrator == "spike"
        stored = stored_cycles(len(x), digits if spike else None, codes=codes)
        integration = integrate_cycles(params, weights, tiles, items, sums=sums, stored=stored)
        expected = {
            **encoded.counters,
            "rows_read": rows,
            "beats_read": rows + passes * len(items) * weights.head_beats(sums=sums),
            "cycles": instruction_cycles(params, weights, tiles, items, stored, sums=sums),
            "stall_scaler": integration.stall_scaler,
            "stall_memory": 0,
            "stall_encoder": integration.stall_encoder,
            "beats_hole": 0,
        }
        counters = self.counters()
        if params.external:
            for measured in ("stall_scaler", "stall_memory", "stall_encoder"):
                expected[measured] = counters[measured]
            stalls = sum(value for name, value in counters.items() if name.startswith("stall_"))
            expected["cycles"] = accounted_cycles(
                params, weights, tiles, items, stalls=stalls, sums=sums
            )
            masks = [row_masks.model(fires, params.hole) for fires in encoded.fires]
            expected["beats_hole"] = passes * sum(mask.holes for mask in masks)
        assert counters == expected
        return counters


@pytest.fixture
def random_matrix():
    return Matrix.random


def _session_host(**changes):
    @pytest.fixture(scope="session", params=INTEGRATORS)
    def host(request):
        host = Host(CoreConfig(integrator=request.param, **changes))
        yield host
        host.transport.close()

    return host


@pytest.fixture(scope="session")
def open_host():
    """Opens hosts by configuration and memory model; closes them at the end."""
    hosts = []

    def open_one(config: CoreConfig, memory: MemoryModel | None = None) -> Host:
        hosts.append(Host(config, memory))
        return hosts[-1]

    yield open_one
    for host in hosts:
        host.transport.close()


host8 = _session_host(lanes=8, memory_beats=1500, max_inputs=224, max_outputs=45)
host50 = _session_host(lanes=50, memory_beats=1299, max_inputs=96, max_outputs=310)
