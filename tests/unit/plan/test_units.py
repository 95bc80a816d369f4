"""Blocks, stores and loads of the cycle model."""

import random

import pytest
import torch

from hw.integrate import output_buffer
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import DRAIN, decode_cycles, keep_cycles
from hw.synapse import row_masks
from hw.vector import drain
from sim.memory import MemoryModel
from sw.plan.bus import Bus
from sw.plan.load import Load
from sw.plan.store import store_cycles
from sw.plan.vector import runs_of

PARAMS = CoreParams(CONFIGS["mac8-token"])


@pytest.mark.parametrize("hole", [1, 2, 5, 8])
def test_runs_are_those_of_the_mask(hole):
    rng = random.Random(hole)
    for share in (0, 0.1, 0.5, 0.9, 1):
        fires = [rng.random() < share for _ in range(32)]
        runs = runs_of(torch.tensor(fires), hole)
        rows = {row for first, final in runs for row in range(first, final + 1)}
        mask = row_masks.model(fires, hole).fetched
        assert rows == {row for row in range(32) if mask >> row & 1}
        assert all(last + 1 < first for (_, last), (first, _) in zip(runs, runs[1:], strict=False))


def test_decode():
    assert [decode_cycles(index) for index in (0, 1, 7, 8, 1 << 19)] == [6, 6, 6, 7, 23]


def test_drain_is_the_way_through_its_parts():
    buffered, done = 2, 2
    assert output_buffer.READ_LATENCY + buffered + drain.latency(PARAMS) + done == DRAIN


def test_few_bytes_wait_for_one_response():
    assert store_cycles(7, 8, width=4, latency=1) == keep_cycles(7, 8, 4) + 2
    assert store_cycles(7, 8, width=1, latency=30) == keep_cycles(7, 8, 1) + 31


def test_many_bytes_wait_for_each_other():
    short, long = (store_cycles(32, 34, width=8, latency=latency) for latency in (1, 30))
    assert short == keep_cycles(32, 34, 8) + 2
    assert long - keep_cycles(32, 34, 8) == 31 + 4 * (32 - 8)


def load(*, count, memory="ideal", origin=0, granted=0, **operands):
    """Run a LOAD alone; return it and the beats that it read."""
    instruction = Instruction(Opcode.LOAD, {"count": count, "size": 1, **operands})
    port = Bus(MemoryModel.parse(memory), beat_bytes=4)
    unit = Load(PARAMS, instruction, count=count, origin=origin, start=0, granted=granted)
    port.finish(port.start(unit.requests()))
    return unit, port.beats


def test_a_number_a_cycle():
    short, _ = load(count=64, inner=64, inner_stride=1)
    long, beats = load(count=164, inner=164, inner_stride=1)
    assert long.end - short.end == 100
    assert beats == long.useful == 41


def test_numbers_far_from_each_other():
    unit, beats = load(count=9, inner=3, inner_stride=8, outer_stride=100)
    assert (beats, unit.useful) == (9, 0)
    dram, _ = load(count=9, inner=3, inner_stride=8, outer_stride=100, memory="dram")
    assert dram.end - unit.end > 8 * 16, "each takes a granule"


def test_places_within_beats():
    unit, beats = load(count=5, size=2, origin=6, inner=5, inner_stride=2)
    assert (beats, unit.useful) == (3, 3)


def test_another_unit_writes():
    unit, _ = load(count=8, inner=8, inner_stride=1, granted=500)
    assert 500 < unit.end <= 515
