"""The group scaler: scales as the compiler lays them out, accumulators of the golden model."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data

from hw.integrate.beat import beat_layout, group_layout
from hw.integrate.scaler import GroupScaler
from hw.spec.codes import BLOCK
from hw.spec.cycles import group_interval, lanes_per_stream
from hw.spec.formats import FORMATS, W8, WeightFormat
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import needs_sums, pack_matrix
from sw.golden.matrix import Matrix
from sw.golden.sums import relative_levels
from tests.scenario.player import Phase, Ports, Scenario, Sink, Source
from tests.scenario.vectors import Vector, header, random_vectors
from tests.unit.golden.models import random_matrix


def params_of(lanes: int) -> CoreParams:
    return CoreParams(CoreConfig(lanes=lanes, max_outputs=2 * lanes))


def component(lanes: int) -> GroupScaler:
    return GroupScaler(params_of(lanes))


def scenario(rng: np.random.Generator, lanes: int, *, products: int = 4) -> Scenario:
    """Products of vectors and matrices of one or two tiles, in both formats, in all tables."""
    params = params_of(lanes)
    formats = [f for f in FORMATS.values() if lanes % f.lanes_per_output == 0] * products
    vectors = random_vectors(rng, products)
    phases = [_product(rng, params, *pair) for pair in zip(formats, vectors, strict=False)]
    layout = data.ArrayLayout(signed(params.accumulator_width), params.scaler_streams)

    def meaning(wide: int, last: int, slot: int, results: int):
        """Streams may have a slot more than the tile has outputs."""
        weights = FORMATS["w8" if wide else "w4"]
        slots = weights.outputs(lanes_per_stream(params))
        used = len(range(slot, weights.outputs(lanes), slots))
        return last, slot, [int(value) for value in layout.from_bits(results)][:used]

    idle = {"beat": 0, "weights": (1 << 4 * lanes) - 1, "handover": 0}
    payload = ("wide", "last", "slot", "results")
    return Scenario(
        sources={"cycle": Source(idle=idle)},
        sinks={"results": Sink(valid="valid", payload=payload, meaning=meaning)},
        phases=phases,
    )


def _product(
    rng: np.random.Generator, params: CoreParams, layout: WeightFormat, vector: Vector
) -> Phase:
    lanes, outputs = params.lanes, layout.outputs(params.lanes)
    encoded, sums = vector.encoded, needs_sums(vector.table, vector.silent)
    matrix = random_matrix(rng, int(rng.integers(1, 2 * outputs + 1)), vector.inputs, layout)
    image = pack_matrix(matrix, lanes, sums=sums).words
    accumulators = np.zeros(len(image) * outputs, np.int64)
    accumulators[: matrix.rows] = Matrix(matrix).matvec(encoded)

    slots = layout.outputs(lanes_per_stream(params))
    expected = [
        (int(slot == slots - 1), slot, tile[slot::slots].tolist())
        for tile in accumulators.reshape(-1, outputs)
        for slot in range(slots)
    ]
    silent = encoded.silent_level - encoded.table.zero
    return Phase(
        hold={"wide": int(layout is W8), "silent": silent & 0xFF},
        send={"cycle": _cycles(params, vector, image, layout.scale_beats)},
        expect={"results": expected},
    )


def _cycles(params: CoreParams, vector: Vector, image: np.ndarray, scale_beats: int) -> list[Ports]:
    """Scale beats, row sums and handovers, the closest that the tile engine may produce."""
    beat, group = beat_layout(params), group_layout(params)
    levels = relative_levels(vector.encoded)
    cycles: dict[int, dict[str, int]] = {}
    now, last = 0, len(levels) - 1
    for tile in image:
        for block, beats in enumerate(tile):
            head = len(beats) - BLOCK
            for k, words in enumerate(beats[:head]):
                kind = {"scale": int(k < scale_beats), "sums": int(k >= scale_beats)}
                weights = int.from_bytes(words.astype("<u4").tobytes(), "little")
                cycles.setdefault(now + k, {"handover": 0})["beat"] = beat.const(kind).as_bits()
                cycles[now + k]["weights"] = weights
            now += max(group_interval(params), head + 1)
            fields = header(vector.encoded, block)
            first = int(block == 0)
            del fields["last_block"]
            bits = group.const(fields | {"first": first, "last": int(block == last)}).as_bits()
            rows = np.array([_nibbles(words, params.lanes) for words in beats[head:]])
            p = (levels[block].numpy() @ rows).tolist()
            packed = sum((total & 0x1FFFF) << 17 * lane for lane, total in enumerate(p))
            cycles[now] = {"handover": 1, "group": bits, "sums": packed, "beat": 0}
    return [cycles.get(cycle, {"handover": 0, "beat": 0}) for cycle in range(now + 1)]


def _nibbles(words: np.ndarray, lanes: int) -> np.ndarray:
    """Weights -8..7 of a beat."""
    nibbles = (words[:, None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15).astype(np.int64)
    return ((nibbles ^ 8) - 8).ravel()[:lanes]
