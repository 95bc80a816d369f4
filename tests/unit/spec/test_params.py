"""Configurations: derived widths, the hash, and refusals that say what to change."""

import dataclasses

import pytest

from hw.spec.codes import BLOCK, TABLES
from hw.spec.configs import CONFIGS, DEFAULT
from hw.spec.params import CoreConfig, CoreParams, accumulator_width
from hw.spec.scales import GRID, LARGEST_RELATIVE_SCALE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": 0}, "lanes must be 1..256, not 0; choose e.g. 8"),
        ({"lanes": 257}, "lanes must be 1..256, not 257"),
        ({"max_inputs": 33}, "multiple of 32 and at least 64, not 33; round it up"),
        ({"max_inputs": 32}, "multiple of 32 and at least 64, not 32"),
        ({"max_outputs": 7}, "max_outputs must be at least the 8 lanes, not 7"),
        (
            {"tile_lanes": 32, "max_outputs": 31},
            "max_outputs must be at least the 32 lanes, not 31",
        ),
        ({"tile_lanes": 24}, "tile_lanes must be 1, 2, 4 or 8 times the 8 lanes, not 24"),
        ({"tile_lanes": 4}, "tile_lanes must be 1, 2, 4 or 8 times the 8 lanes, not 4"),
        (
            {"tile_lanes": 16, "memory_beats": 71},
            "memory_beats must hold one weight group of 72 beats, not 71",
        ),
        ({"memory_beats": 35}, "memory_beats must hold one weight group of 36 beats, not 35"),
        ({"integrator": "sponge"}, "integrator must be one of mac.*, not 'sponge'"),
        ({"memory": "tape"}, "memory must be one of onchip, axi, not 'tape'"),
        ({"memory": "axi", "lanes": 20}, "needs 8, 16, 32, 64, 128 or 256 lanes, not 20"),
        ({"memory": "axi", "axi_data_width": 48}, "a power of two from 32 to 1024, not 48"),
        ({"memory": "axi", "axi_data_width": 64}, "at most 4 \\* tile_lanes = 32, not 64"),
        ({"memory": "axi", "memory_beats": 1 << 31}, "at most 1073741824, the bus's 4 GiB"),
        ({"memory": "axi", "ring_groups": 3}, "ring_groups must be 4..64, not 3"),
        ({"memory": "axi", "hole": 9}, "hole must be 1..8, not 9"),
        ({"memory": "axi", "batch": 65}, "batch must be 1..64 vectors, not 65"),
        ({"batch": 2}, "a batch of 2 vectors needs memory 'axi', .* not 'onchip'"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        CoreParams(CoreConfig().replace(**changes))


@pytest.mark.parametrize(("width", "alignment"), [(32, 1), (64, 1), (128, 2), (256, 4), (512, 8)])
def test_bus_width_sets_the_alignment(width, alignment):
    changes = {"lanes": 16, "tile_lanes": 128, "axi_data_width": width}
    assert CoreParams(CoreConfig(**changes, memory="axi")).alignment == alignment
    assert CoreParams(CoreConfig(**changes)).alignment == 1


def test_named_configurations_are_valid_and_differ():
    assert DEFAULT in CONFIGS
    hashes = {CoreParams(config).hash for config in CONFIGS.values()}
    assert len(hashes) == len(CONFIGS)


def test_hash_changes_with_every_field():
    base = CoreConfig(memory="axi", vector_words=64)
    for field in dataclasses.fields(CoreConfig):
        value = getattr(base, field.name)
        if isinstance(value, int):
            other = not value if isinstance(value, bool) else value * 2
            changed = base.replace(**{field.name: other})
            assert CoreParams(changed).hash != CoreParams(base).hash, field.name


@pytest.mark.parametrize("inputs", [1, 32, 33, 576, 1536, 11008])
def test_accumulators_hold_the_extreme_sum(inputs):
    groups = -(-inputs // BLOCK)
    scale = LARGEST_RELATIVE_SCALE * groups * BLOCK * 255
    eight_bit, four_bit = scale * 127 * 128, scale * (127 * 8 + 127)
    limit = 2 ** (accumulator_width(inputs) - 1) - 1
    assert max(eight_bit, four_bit) <= limit
    assert max(eight_bit, four_bit) > limit // 2


def test_tables_are_as_the_documentation_says():
    assert [table.number for table in sorted(TABLES.values(), key=lambda t: t.number)] == list(
        range(9)
    )
    for table in TABLES.values():
        assert list(table.ladder) == sorted(set(table.ladder))
        assert table.steps == len(table.ladder)
    assert GRID == tuple(sorted(GRID)) and len(GRID) == 64
