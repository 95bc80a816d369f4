"""Random vectors, what the golden model says of them, and their items for the lanes."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from hw.encode import model
from hw.spec.codes import BLOCK, TABLES
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded, encode, from_codes
from sw.golden.sums import Event, events, relative_levels

#: Code tables with elements as inputs, and with decoded codes.
MODES = [(table.name, False) for table in TABLES.values() if table.linear]
MODES += [(table.name, True) for table in TABLES.values() if table.zero == 0]


@dataclasses.dataclass
class Vector:
    """A random vector with its quantizer; ``codes`` are the test mode's decoded values."""

    rng: np.random.Generator
    inputs: int
    table: str = "companded"
    codes: bool = False

    def __post_init__(self):
        rng, table = self.rng, TABLES[self.table]
        self.silent = int(rng.integers(16)) if table.masked else table.silent_level
        self.constant, self.threshold = int(rng.integers(1, 2000)), int(rng.choice([4, 0, 23]))
        if self.codes:
            self.x = rng.integers(-255, 256, self.inputs) * (
                rng.random(self.inputs) < rng.choice([0.3, 0.7, 1])
            )
        else:
            spread = rng.choice([3, 900, 20000])
            self.x = np.clip(rng.laplace(0, spread, self.inputs), -32767, 32767).astype(np.int64)
        if rng.random() < 0.3:
            self.x[:BLOCK] = 0

    @property
    def encoded(self) -> Encoded:
        """The golden model's codes and scales."""
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

    def items(self, integrator: str) -> list[dict[str, int]]:
        """Items of a replay, which mean what the golden model says."""
        encoded = self.encoded
        if integrator == "mac":
            return list(_rows(encoded))
        items = model.encode(
            self.x.tolist(),
            TABLES[self.table],
            constant=self.constant,
            threshold=self.threshold,
            silent=self.silent,
            codes=self.codes,
            integrator=integrator,
        ).items
        for block, fired in enumerate(_fired(items)):
            assert fired == sorted(events(block_of(encoded, block)), key=_time)
        ends = [item for item in items if item.ends_group]
        assert [header(encoded, block) for block in range(len(encoded.scales))] == [
            {name: getattr(item, name) for name in header(encoded, 0)} for item in ends
        ]
        return [{name: int(value) for name, value in item._asdict().items()} for item in items]


def random_vectors(rng: np.random.Generator, count: int) -> list[Vector]:
    """Vectors of odd sizes in random modes; the first is long and in the mode with most events."""
    vectors = [Vector(rng, int(rng.integers(65, 97)), codes=True)]
    for _ in range(count - 1):
        table, codes = MODES[rng.integers(len(MODES))]
        vectors.append(Vector(rng, int(rng.integers(1, 97)), table, codes))
    return vectors


def block_of(encoded: Encoded, block: int) -> Encoded:
    """One block of a vector."""
    return dataclasses.replace(
        encoded, decoded=encoded.decoded[block], classes=encoded.classes[block]
    )


def header(encoded: Encoded, block: int) -> dict[str, int]:
    """What the scaler must know of a block."""
    scale = int(encoded.scales[block])
    shift = scale.bit_length() - 3
    return {
        "last_block": int(block == len(encoded.scales) - 1),
        "mantissa": (scale >> shift) - 4,
        "shift": shift,
        "code_sum": int(encoded.code_sums[block]),
    }


def _rows(encoded: Encoded):
    """Items of ``mac``: the codes that are not silent, or one item if there are none."""
    for block, levels in enumerate(relative_levels(encoded).tolist()):
        fired = [(row, level) for row, level in enumerate(levels) if level]
        for i, (row, level) in enumerate(fired or [(0, 0)]):
            item = {"row": row, "code": level, "empty": int(not fired)}
            yield {**item, "last": int(i + 1 >= len(fired)), **header(encoded, block)}


def _time(event: Event) -> tuple:
    return not event.coarse, -event.level, event.channel


def _fired(items):
    """Events of each block that items of ``spike`` mean; levels are counted from behind."""
    coarse, over, window = [], [], []  # lists of [level, row, negative]
    for item in items:
        if item.times16:
            coarse, over = over, []
        for event in window:
            event[0] += item.gap << item.gap_shift
        if item.ends_group:
            fired = [Event(True, *event) for event in coarse]
            yield sorted(fired + [Event(False, *event) for event in over + window], key=_time)
            coarse, over, window = [], [], []
        elif item.restart:
            over, window = window, []
        if not item.empty:
            window.append([0, item.row, bool(item.negative)])


def classes(encoded: Encoded) -> list[dict[str, int]]:
    """Every code of a vector, in order, as the encoder classifies it."""
    levels, inputs = relative_levels(encoded).flatten().tolist(), encoded.inputs
    kinds, values = encoded.classes.flatten().tolist(), encoded.decoded.flatten().tolist()
    return [
        {
            "value": values[i],
            "level": levels[i],
            "integer": int(kinds[i] == CodeClass.INTEGER),
            "silent": int(kinds[i] == CodeClass.SILENT),
            "row": i % BLOCK,
            "ends": int(i % BLOCK == BLOCK - 1 or i == inputs - 1),
        }
        for i in range(inputs)
    ]
