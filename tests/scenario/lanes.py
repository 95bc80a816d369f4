"""The lanes: items of whole vectors at any pace, sums of the golden model, no handover beyond."""

from __future__ import annotations

import numpy as np
import torch
from amaranth.hdl import signed
from amaranth.lib import data

from hw.core import LANES
from hw.integrate.beat import SPIKE_FIELDS, beat_layout, group_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreConfig, CoreParams
from sw.golden.sums import group_sums
from tests.scenario.player import Phase, Scenario, Sink, Source
from tests.scenario.vectors import Vector, random_vectors

#: Fields of a group where a tile is as wide as the core.
GROUP_FIELDS = ("mantissa", "shift", "code_sum", "first", "last")


def params_of(integrator: str, lanes: int) -> CoreParams:
    return CoreParams(CoreConfig(lanes=lanes, max_outputs=lanes, integrator=integrator))


def component(integrator: str, lanes: int):
    return LANES[integrator](params_of(integrator, lanes))


def scenario(
    rng: np.random.Generator, integrator: str, lanes: int, *, vectors: int = 4
) -> Scenario:
    """Vectors of odd sizes in all tables; weights at random or all the lowest."""
    params = params_of(integrator, lanes)
    phases = []
    for vector in random_vectors(rng, vectors):
        beats, headers = [], []
        blocks = len(vector.encoded.scales)
        weights = rng.integers(-8, 8, (blocks, BLOCK, lanes))
        weights[rng.random(blocks) < 0.3] = -8
        for item, row in zip(*_rows(vector, weights, integrator), strict=True):
            beat, ends = _beat(rng, item, integrator)
            headers += [beat["group"]] * ends
            bits = beat_layout(params).const(beat).as_bits()
            beats.append({"beat": bits, "weights": nibbles(row)})
        sums = _sums(vector, weights)
        groups = [(group, *p) for group, p in zip(headers, sums.tolist(), strict=True)]
        phases.append(Phase(send={"beat": beats}, expect={"sums": groups}))

    silent = dict.fromkeys(beat_layout(params).members, -1) | {"row": 0, "group": {}}
    idle = {"beat": beat_layout(params).const(silent).as_bits(), "weights": nibbles([-1] * lanes)}

    sums_layout = data.ArrayLayout(signed(params.sum_width), lanes)

    def meaning(group: int, sums: int):
        fields = group_layout(params).from_bits(group)
        return {name: int(getattr(fields, name)) for name in GROUP_FIELDS}, *(
            int(total) for total in sums_layout.from_bits(sums)
        )

    return Scenario(
        sources={"beat": Source(idle=idle)},
        sinks={"sums": Sink(valid="handover", payload=("group", "sums"), meaning=meaning)},
        phases=phases,
    )


def nibbles(row) -> int:
    """Bits of a beat."""
    return sum((int(weight) & 15) << 4 * lane for lane, weight in enumerate(row))


def _rows(vector: Vector, weights: np.ndarray, integrator: str):
    """Items of a vector, and the row of weights that comes with each."""
    items, rows, block = vector.items(integrator), [], 0
    for item in items:
        block += item.get("ends_group", 0)  # the row belongs to the block that begins
        rows.append([5] * weights.shape[-1] if item["empty"] else weights[block, item["row"]])
        block += item.get("last", 0)
    return items, rows


def _beat(rng: np.random.Generator, item: dict[str, int], integrator: str):
    """Fields of a beat, and whether it ends a group."""
    group = {name: item[name] for name in ("mantissa", "shift", "code_sum")}
    group |= {"first": int(rng.integers(2)), "last": int(rng.integers(2))}
    ends = item["ends_group" if integrator == "spike" else "last"]
    names = SPIKE_FIELDS if integrator == "spike" else ("code",)
    return {"row": 1, "last": ends, "group": group} | {name: item[name] for name in names}, ends


def _sums(vector: Vector, weights: np.ndarray) -> torch.Tensor:
    """P of every group without the part of the silent level, shape (blocks, lanes)."""
    encoded = vector.encoded
    rows = torch.from_numpy(weights).transpose(1, 2)
    return group_sums(encoded, rows) - (encoded.silent_level - encoded.table.zero) * rows.sum(-1)
