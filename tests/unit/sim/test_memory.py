"""Parameters of the memory model: refusals, and their order for the C++ side."""

import re

import pytest

from sim.memory import MemoryModel
from sw.errors import UserError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latency": 0}, "latency must be at least 1 cycle, not 0"),
        ({"beat_interval": 0}, "beat_interval must be at least 1 cycle, not 0"),
        ({"address_cost": -3}, "address_cost must be at least 1 cycle, not -3"),
        ({"granule": 48}, "granule must be a power of two of bytes, not 48"),
        ({"page": 0}, "page must be a power of two of bytes, not 0"),
        ({"row_miss": -1}, "row_miss must not be negative, but is -1"),
        ({"jitter": -1}, "jitter must not be negative, but is -1"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MemoryModel(**changes)


def test_order():
    model = MemoryModel(
        latency=3, beat_interval=4, granule=8, address_cost=5, page=16, row_miss=6, jitter=7, seed=9
    )
    assert model.pack(size=1, beat=2).tolist() == [1, 2, 3, 4, 8, 5, 16, 6, 7, 9]


def test_parse():
    assert MemoryModel.parse("ideal") == MemoryModel()
    assert MemoryModel.parse("dram") == MemoryModel(latency=30, granule=64)
    assert MemoryModel.parse("dram,latency=7,seed=3") == MemoryModel(latency=7, granule=64, seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sram", "a memory is ideal, dram or name=number with a name of latency, beat_interval"),
        ("latency", "not 'latency'; e.g. latency=30,granule=64"),
        ("latency=-1", "not 'latency=-1'"),
        ("dram,", "not ''"),
        ("latency=0", "memory: latency must be at least 1 cycle, not 0"),
    ],
)
def test_parse_refusals(text, message):
    with pytest.raises(UserError, match=re.escape(message)):
        MemoryModel.parse(text)
