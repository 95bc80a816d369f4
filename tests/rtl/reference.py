"""An integer model of an instruction, written from ``docs/arithmetic.md`` and the layout's text."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.formats import W4, WeightFormat


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A vector as the encoder should see it, block by block.

    Decoded codes, scales, the base exponent, the levels of the events in the coarse and the fine
    window (descending), which codes are not silent, and counters.
    """

    decoded: np.ndarray
    scales: np.ndarray
    base: int
    windows: list[tuple[list[int], list[int]]]
    fires: list[list[bool]]
    counters: dict[str, int]

    def items(self, integrator: str) -> list[int]:
        """Cycles of the lanes up to each handover, that one included."""
        if integrator == "mac":
            return [max(sum(fires), 1) for fires in self.fires]
        cycles = [_spike_cycles(coarse, fine) for coarse, fine in self.windows]
        return [cycles[0] + 1, *cycles[1:]]  # each ends with the next block's first item

    def rows(self, integrator: str) -> int:
        """Rows that one tile reads; from external memory, those of ``mac``."""
        if integrator == "mac":
            return sum(map(sum, self.fires))
        return sum(len(coarse) + len(fine) for coarse, fine in self.windows)


def _spike_cycles(coarse: list[int], fine: list[int]) -> int:
    """Items of a block; the last operation of a gap shares the item of what comes next."""
    if not coarse and not fine:
        return 1
    cycles = 0
    for window in (coarse, fine):
        gaps = np.array(window, int) - np.array([*window[1:], 0][: len(window)], int)
        operations = gaps // 4 + gaps % 4 // 2 + gaps % 2
        cycles += len(window) + int(np.maximum(operations - 1, 0).sum())
    return cycles + (not fine)  # V * 16 parts the last gap from the next block


def _scale_index(block: np.ndarray, constant: int) -> int:
    product = int(np.abs(block).sum()) * constant
    top = product.bit_length() - 1
    wanted = 0 if top < 14 else 4 * (top - 14) + ((product >> top - 3) + 1 >> 1) - 4
    largest = int(np.abs(block).max())
    holds = 0
    while 127 * ((4 + holds % 4) << holds // 4) < 16 * largest:
        holds += 1
    return min(max(wanted, holds), 63)


def _classify(x: int, scale: int, table: CodeTable, threshold: int, m: int) -> tuple[int, str]:
    t = 8 * 16 * abs(x) // scale
    sign = -1 if x < 0 else 1
    if table.zero:
        value, quiet = sign * (t + 4 >> 3), m - table.zero
        if value == quiet or abs(sign * t - 8 * quiet) < threshold:
            return quiet, "silent"
        return value, "spikes" if 0 <= value + table.zero <= table.highest else "integer_events"
    if t >= table.integer_from:
        magnitude, kind = t + 4 >> 3, "integer_events"
    else:
        reached = [level for level, at in zip(table.ladder[1:], table.thresholds) if t >= at]  # noqa: B905
        magnitude, kind = max(reached, default=0), "spikes"
    if t < threshold or magnitude == 0:
        return 0, "silent"
    return sign * magnitude, kind


def _classify_code(code: int, table: CodeTable) -> tuple[int, str]:
    if code == 0:
        return 0, "silent"
    spike = abs(code) in table.ladder and (code > 0 or table.polarity)
    return code, "spikes" if spike else "integer_events"


def _windows(levels: list[int], kinds: list[str]) -> tuple[list[int], list[int]]:
    """Levels of the events of both windows, from v - m of a block's codes."""
    coarse, fine = [], []
    for level, kind in zip(map(abs, levels), kinds, strict=True):
        if kind == "spikes":
            fine.append(level)
        elif kind == "integer_events":
            high = level + 8 >> 4
            coarse.append(high)
            fine.append(abs(level - 16 * high))
    return tuple(sorted(filter(None, window), reverse=True) for window in (coarse, fine))


def encode(
    x: np.ndarray,
    table: str,
    *,
    constant: int = 367,
    threshold: int = 4,
    silent: int = 0,
    codes: bool = False,
) -> Encoded:
    """Sections 2, 3 and 13; ``silent`` is the level m."""
    entry = TABLES[table]
    blocks = [x[i : i + BLOCK] for i in range(0, len(x), BLOCK)]
    indices = [0] * len(blocks) if codes else [_scale_index(b, constant) for b in blocks]
    base = max(0, max(i // 4 for i in indices) - 8)
    relative = [(4 + i % 4) << i // 4 - base if i // 4 >= base else 4 for i in indices]
    decoded = np.zeros((len(blocks), BLOCK), np.int64)
    counters = dict.fromkeys(("spikes", "silent", "integer_events", "steps"), 0)
    windows, fires = [], []
    for g, block in enumerate(blocks):
        pairs = [
            _classify_code(int(value), entry)
            if codes
            else _classify(int(value), relative[g] << base, entry, threshold, silent)
            for value in block
        ]
        values, kinds = map(list, zip(*pairs, strict=True))
        decoded[g, : len(values)] = values
        for kind in kinds:
            counters[kind] += 1
        windows.append(_windows([value + entry.zero - silent for value in values], kinds))
        counters["steps"] += sum(len(set(window)) for window in windows[-1])
        fires.append([kind != "silent" for kind in kinds])
    return Encoded(decoded, np.array(relative), base, windows, fires, counters)


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

    def image(self, lanes: int, *, sums: bool, parts: int = 1) -> tuple[np.ndarray, int]:
        """Words of synapse memory, and the number of tiles (``hw/spec/formats.py``)."""
        per_tile = self.weights.outputs(lanes)
        tiles = self.weights.tiles(len(self.codes), lanes * parts)
        groups = self.d.shape[1]
        codes = np.zeros((tiles * parts * per_tile, groups * BLOCK), np.int64)
        codes[: len(self.codes), : self.codes.shape[1]] = self.codes
        scales = np.zeros((2, tiles * parts * per_tile, groups), np.int64)
        scales[:, : len(self.codes)] = self.d, self.b
        words = []
        for tile in range(tiles):
            for group in range(groups):
                heads, rows = [], []
                for part in range(tile * parts, (tile + 1) * parts):
                    outputs = slice(part * per_tile, (part + 1) * per_tile)
                    block = codes[outputs, group * BLOCK : (group + 1) * BLOCK].T
                    head, nibbles = self._part(block, *scales[:, outputs, group], group, sums)
                    heads += head
                    rows.append(nibbles)
                beats = [*heads, *(part[row] for row in range(BLOCK) for part in rows)]
                words += map(_beat, beats)
        return np.concatenate(words), tiles

    def _part(self, rows, d, b, group, sums):
        """Nibbles of one part of a tile in a group: of its head and of its rows."""
        if self.weights is W4:
            head = [*_nibbles(d, b).reshape(4, -1)]
        else:
            head = [_nibbles(d)]
            rows = np.stack([(rows & 15) - 8, rows >> 4], axis=-1).reshape(BLOCK, -1)
        if sums:
            real = rows[: max(0, self.codes.shape[1] - BLOCK * group)]
            shifts = np.arange(0, 16, 4)
            head += [*(real.sum(axis=0)[:, None] >> shifts).reshape(4, -1)]
        return head, rows


def _nibbles(*mantissas: np.ndarray) -> np.ndarray:
    values = np.concatenate(mantissas)
    return np.stack([values & 15, values >> 4 & 15], axis=-1).ravel()


def _beat(nibbles: np.ndarray) -> np.ndarray:
    value = sum((int(n) & 15) << 4 * i for i, n in enumerate(nibbles))
    return np.array([value >> s & 0xFFFFFFFF for s in range(0, 4 * len(nibbles), 32)], np.uint32)
