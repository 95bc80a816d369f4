"""Verilated cores, a minimal host, and an integer model written from ``docs/arithmetic.md``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hw.encode.cycles import encode_cycles
from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.cycles import instruction_cycles, integrate_cycles
from hw.spec.formats import W4, WeightFormat
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import COUNTERS, REGISTERS
from hw.synapse import row_masks
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A vector as the encoder should see it: decoded codes and scales per block, counters."""

    decoded: np.ndarray
    scales: np.ndarray
    base: int
    events: list[int]
    counters: dict[str, int]


def _scale_index(block: np.ndarray, constant: int) -> int:
    product = int(np.abs(block).sum()) * constant
    top = product.bit_length() - 1
    wanted = 0 if top < 14 else 4 * (top - 14) + ((product >> top - 3) + 1 >> 1) - 4
    largest = int(np.abs(block).max())
    holds = 0
    while 127 * ((4 + holds % 4) << holds // 4) < 16 * largest:
        holds += 1
    return min(max(wanted, holds), 63)


def _classify(x: int, scale: int, table: CodeTable, threshold: int) -> tuple[int, str]:
    t = 8 * 16 * abs(x) // scale
    if t >= table.integer_from or (x < 0 and not table.polarity):
        magnitude, kind = t + 4 >> 3, "integer_events"
    else:
        reached = [level for level, at in zip(table.ladder[1:], table.thresholds) if t >= at]  # noqa: B905
        magnitude, kind = max(reached, default=0), "spikes"
    if t < threshold or magnitude == 0:
        return 0, "silent"
    return (magnitude if x > 0 else -magnitude), kind


def _classify_code(code: int, table: CodeTable) -> tuple[int, str]:
    if code == 0:
        return 0, "silent"
    spike = abs(code) in table.ladder and (code > 0 or table.polarity)
    return code, "spikes" if spike else "integer_events"


def _steps(decoded: list[int], kinds: list[str]) -> int:
    coarse, fine = set(), set()
    for code, kind in zip(decoded, kinds, strict=True):
        if kind == "spikes":
            fine.add(abs(code))
        elif kind == "integer_events":
            high = abs(code) + 8 >> 4
            coarse.add(high)
            fine.add(abs(abs(code) - 16 * high))
    return len(coarse - {0}) + len(fine - {0})


def encode(
    x: np.ndarray, table: str, *, constant: int = 367, threshold: int = 4, codes: bool = False
) -> Encoded:
    """Sections 2, 3 and 13, for tables whose zero level is 0."""
    blocks = [x[i : i + BLOCK] for i in range(0, len(x), BLOCK)]
    indices = [0] * len(blocks) if codes else [_scale_index(b, constant) for b in blocks]
    base = max(0, max(i // 4 for i in indices) - 8)
    relative = [(4 + i % 4) << i // 4 - base if i // 4 >= base else 4 for i in indices]
    decoded = np.zeros((len(blocks), BLOCK), np.int64)
    counters = dict.fromkeys(("spikes", "silent", "integer_events", "steps"), 0)
    for g, block in enumerate(blocks):
        pairs = [
            _classify_code(int(value), TABLES[table])
            if codes
            else _classify(int(value), relative[g] << base, TABLES[table], threshold)
            for value in block
        ]
        values, kinds = map(list, zip(*pairs, strict=True))
        decoded[g, : len(values)] = values
        for kind in kinds:
            counters[kind] += 1
        counters["steps"] += _steps(values, kinds)
    events = [int(np.count_nonzero(row)) for row in decoded]
    return Encoded(decoded, np.array(relative), base, events, counters)


@dataclasses.dataclass
class Matrix:
    """Weight codes (outputs, inputs), mantissas and offsets (outputs, groups)."""

    weights: WeightFormat
    codes: np.ndarray
    d: np.ndarray
    b: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, weights: WeightFormat, outputs: int, inputs: int):
        """Any codes and scales; offsets are zero where the format has none."""
        bound = 8 if weights is W4 else 128
        codes = rng.integers(-bound, bound, (outputs, inputs))
        d, b = rng.integers(-127, 128, (2, outputs, -(-inputs // BLOCK)))
        return cls(weights, codes, d, b if weights is W4 else 0 * b)

    def product(self, x: Encoded) -> np.ndarray:
        """Section 5: accumulators as Python integers cannot overflow."""
        groups = len(x.decoded)
        padded = np.zeros((len(self.codes), groups * BLOCK), np.int64)
        padded[:, : self.codes.shape[1]] = self.codes
        sums = np.einsum("ogi,gi->og", padded.reshape(-1, groups, BLOCK), x.decoded)
        terms = self.d * sums + self.b * x.decoded.sum(axis=1)
        return (terms * x.scales).sum(axis=1)

    def image(self, lanes: int) -> tuple[np.ndarray, int]:
        """Words of synapse memory, and the number of tiles (``hw/spec/formats.py``)."""
        per_tile = self.weights.outputs(lanes)
        tiles = self.weights.tiles(len(self.codes), lanes)
        groups = self.d.shape[1]
        codes = np.zeros((tiles * per_tile, groups * BLOCK), np.int64)
        codes[: len(self.codes), : self.codes.shape[1]] = self.codes
        scales = np.zeros((2, tiles * per_tile, groups), np.int64)
        scales[:, : len(self.codes)] = self.d, self.b
        words = []
        for tile in range(tiles):
            outputs = slice(tile * per_tile, (tile + 1) * per_tile)
            for group in range(groups):
                rows = codes[outputs, group * BLOCK : (group + 1) * BLOCK].T
                d, b = scales[:, outputs, group]
                if self.weights is W4:
                    nibbles = _nibbles(d, b).reshape(4, lanes)
                else:
                    nibbles = np.zeros((1, lanes), np.int64)
                    nibbles[0] = _nibbles(d)
                    rows = np.stack([(rows & 15) - 8, rows >> 4], axis=-1).reshape(BLOCK, lanes)
                words += [_beat(beat) for beat in (*nibbles, *rows)]
        return np.concatenate(words), tiles


def _nibbles(*mantissas: np.ndarray) -> np.ndarray:
    values = np.concatenate(mantissas)
    return np.stack([values & 15, values >> 4 & 15], axis=-1).ravel()


def _beat(nibbles: np.ndarray) -> np.ndarray:
    value = sum((int(n) & 15) << 4 * i for i, n in enumerate(nibbles))
    return np.array([value >> s & 0xFFFFFFFF for s in range(0, 4 * len(nibbles), 32)], np.uint32)


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
              codes=False):  # fmt: skip
        """Load everything and start; does not wait."""
        if self.params.external:
            self.transport.load(base * self.params.beat_bits // 8, image)
        else:
            self.window("memory", base * self.params.words_per_beat, image)
        self.window("input", 0, x.astype(np.int64) & 0xFFFFFFFF)
        self.write("shape", len(x) | tiles << 16)
        self.write("weight_base", base)
        self.write("mode", TABLES[table].number | weights.number << 4 | codes << 5)
        self.write("quantizer", constant | threshold << 12)
        self.write("control", 1)

    def wait(self, cycles: int = 1_000_000) -> None:
        self.transport.wait(REGISTERS["status"].address, 1, 0, cycles)

    def outputs(self, count: int) -> np.ndarray:
        self.write("output_address", 0)
        words = self.transport.read_window(REGISTERS["output_data"].address, 2 * count)
        return words.view(np.int64)

    def counters(self) -> dict[str, int]:
        return {name: self.read(name) for name in COUNTERS}

    def multiply(self, matrix: Matrix, x: np.ndarray, table: str, **options):
        """Whole instruction; returns the accumulators of the matrix's outputs."""
        image, tiles = matrix.image(self.params.lanes)
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

        params, weights, events = self.params, matrix.weights, encoded.events
        tiles = weights.tiles(len(matrix.codes), params.lanes)
        rows = tiles * sum(events)
        encoding = encode_cycles(len(x), events, codes=codes)
        expected = {
            **encoded.counters,
            "rows_read": rows,
            "beats_read": rows + tiles * len(events) * weights.scale_beats,
            "cycles": instruction_cycles(params, weights, tiles, events, encoding),
            "stall_scaler": integrate_cycles(params, weights, tiles, events)[1],
            "stall_memory": 0,
            "beats_hole": 0,
        }
        counters = self.counters()
        if params.external:
            for measured in ("cycles", "stall_scaler", "stall_memory"):
                expected[measured] = counters[measured]
            masks = [row_masks.model(list(block != 0), params.hole) for block in encoded.decoded]
            expected["beats_hole"] = tiles * sum(mask.holes for mask in masks)
        assert counters == expected
        return counters


@pytest.fixture
def random_matrix():
    return Matrix.random


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


@pytest.fixture(scope="session")
def host8():
    host = Host(CoreConfig(lanes=8, memory_beats=1500, max_inputs=224, max_outputs=45))
    yield host
    host.transport.close()


@pytest.fixture(scope="session")
def host3():
    host = Host(CoreConfig(lanes=3, memory_beats=1000, max_inputs=96, max_outputs=17))
    yield host
    host.transport.close()
