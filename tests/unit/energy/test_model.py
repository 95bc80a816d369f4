"""Energy by hand: one tensor, constants that are easy to multiply."""

import dataclasses

import pytest

from hw.spec.formats import W4
from sw.energy.activity import KEYS, VALUES, Activity, weight_activity
from sw.energy.macro import MacroEnergy
from sw.energy.model import PARTS, dense_attention, energy
from sw.energy.technology import Constant, MissingConstantError, Technology
from sw.energy.vector_work import VectorWork
from tests.unit.golden.models import TINY


def technology(**picojoules: float) -> Technology:
    names = ("accumulate", "move", "sram", "dram", "float_add", "float_multiply")
    constants = {
        name: Constant(picojoules=value, unit="", source="", node="")
        for name, value in {**dict.fromkeys(names, 0.0), **picojoules}.items()
    }
    return Technology(name="t", description="", constants=constants)


def records() -> list[Activity]:
    record = weight_activity("layers.0.attn_q", W4, 100)
    counts = {"silent": 2, "spikes": 5, "integers": 1, "events": 5, "digits": 2, "steps": 4}
    record.add(outputs=100, groups=1, window_steps=16, **counts)
    # Attention that did nothing.
    empty = [Activity(name=kind, kind=kind, weight_bits=8) for kind in (KEYS, VALUES)]
    return [record, *empty]


def joules(constants, **options):
    shape = {"config": TINY, "tokens": 1, "window": 1}
    return energy(records(), constants, **shape, **options)


def test_movement_to_every_synapse_and_once_per_tile():
    move = technology(move=1.0)
    assert joules(move, counting="synapse").movement == pytest.approx(1e-12 * 100 * (5 + 8))
    # 100 outputs are two tiles of 64; 5 + 1 bits a spike, 5 + 8 an integer.
    assert joules(move, counting="broadcast").movement == pytest.approx(1e-12 * 2 * (30 + 13))
    dense = joules(move, counting="synapse", dense_bits=8)
    assert dense.movement == pytest.approx(1e-12 * 100 * 8 * 8)
    dense = joules(move, counting="broadcast", dense_bits=8)
    assert dense.movement == pytest.approx(1e-12 * 8 * 8 * 2)


def test_weights_are_read_where_something_fires():
    assert joules(technology(sram=1.0)).weights == pytest.approx(1e-12 * 100 * (6 * 4 + 16))
    dense = joules(technology(sram=1.0), dense_bits=8)
    assert dense.weights == pytest.approx(1e-12 * 100 * (8 * 4 + 16))
    outside = joules(technology(dram=1.0), memory="dram")
    assert outside.weights == pytest.approx(1e-12 * 100 * (6 * 4 + 16))
    floats = joules(technology(sram=1.0), dense_bits=32)
    assert floats.weights == pytest.approx(1e-12 * 100 * 8 * 32)


def test_compute_counts_spikes_digits_steps_and_scaling():
    got = joules(technology(accumulate=1.0))
    # 5 spikes, 2 digits, 4 steps; scaling by 8-bit mantissas and an 11-bit scale.
    assert got.compute == pytest.approx(1e-12 * 100 * (5 + 2 + 4 + 8 + 8 + 11))
    dense = joules(technology(accumulate=1.0), dense_bits=8)
    assert dense.compute == pytest.approx(1e-12 * 100 * (8 * 4 + 8 + 8 + 11))
    floats = joules(technology(float_add=1.0, float_multiply=2.0), dense_bits=32)
    assert floats.compute == pytest.approx(1e-12 * 100 * 8 * 3)


def test_total_and_measured_share():
    constants = technology(accumulate=1.0, move=1.0, sram=1.0)
    got = joules(constants)
    assert got.total == pytest.approx(sum(getattr(got, part) for part in PARTS))
    scaling = 1e-12 * 100 * (8 + 8 + 11)
    counted = got.movement + got.weights + got.compute - scaling
    assert got.measured == pytest.approx(counted)
    assert got.as_json()["measured_share"] == pytest.approx(counted / got.total)


def test_conversions_replace_reads_and_sums():
    """Two outputs' power are a line; cells are not read, and every code is added once."""
    point = {"unit": "", "source": "", "node": "", "rows": 32, "mapping": "planes"}
    constants = technology(sram=1.0, accumulate=1.0)
    constants.constants["output_sparse"] = Constant(picojoules=3, lines=1, **point)
    constants.constants["output_dense"] = Constant(picojoules=7, lines=3, **point)
    macro = MacroEnergy.of(constants)
    assert (macro.base, macro.line) == (1, 2)
    converted = records()
    converted[0].conversions, converted[0].raised_lines = 500, 900
    shape = {"config": TINY, "tokens": 1, "window": 1}
    got = energy(converted, constants, macro=macro, **shape)
    assert got.adc == pytest.approx(1e-12 * (500 + 2 * 900))
    assert got.weights == pytest.approx(1e-12 * 100 * 16)
    assert got.compute == pytest.approx(1e-12 * (500 + 100 * (4 + 8 + 8 + 11)))
    with pytest.raises(ValueError, match="give the energy of the macro that made them"):
        energy(converted, constants, **shape)


def test_missing_constants_stop_it():
    lacking = technology()
    lacking = dataclasses.replace(
        lacking, constants={k: c for k, c in lacking.constants.items() if k != "move"}
    )
    with pytest.raises(MissingConstantError, match="no constant 'move'"):
        joules(lacking)


def test_attention_that_was_not_counted_is_dense():
    keys, values = dense_attention(TINY, tokens=6, window=3)
    heads = TINY.layers * TINY.heads
    assert keys.integers == 6 * heads * TINY.head_width
    assert values.integers == 2 * (1 + 2 + 3) * heads
    assert keys.products == values.products == values.integers * TINY.head_width
    shape = {"config": TINY, "tokens": 6, "window": 3}
    without = energy(records()[:1], technology(sram=1.0), **shape)
    assert without.cache > energy(records(), technology(sram=1.0), **shape).cache


def test_vector_work_grows_with_tokens_and_window():
    one = VectorWork.of(TINY, tokens=1, window=4, dense_bits=None)
    two = VectorWork.of(TINY, tokens=2, window=4, dense_bits=None)
    assert dataclasses.astuple(two) == tuple(2 * part for part in dataclasses.astuple(one))
    longer = VectorWork.of(TINY, tokens=1, window=40, dense_bits=None)
    assert longer.products > one.products and longer.cache_bits == one.cache_bits
    assert one.cache_bits == 2 * 8 * TINY.layers * TINY.kv_heads * TINY.head_width
    floats = VectorWork.of(TINY, tokens=1, window=4, dense_bits=32)
    assert floats.additions < one.additions and floats.cache_bits == 4 * one.cache_bits
    assert one.picojoules(technology(sram=1.0), floating=False) == one.memory_bits
