"""Bursts on the read port of device memory."""

import pytest

from sim.memory import MemoryModel
from sw.plan.bus import Ask, Burst, Bus


def bus(text="ideal", *, beat_bytes=4):
    return Bus(MemoryModel.parse(text), beat_bytes=beat_bytes)


def test_a_beat_a_cycle():
    port = bus()
    assert port.read(Ask(10, 0, 5)) == Burst(11, 15)
    assert port.read(Ask(11, 400, 2)) == Burst(16, 17), "behind the beats of the one before"
    assert port.read(Ask(30, 0, 1)) == Burst(31, 31)
    assert port.beats == 8


def test_whole_granules():
    port = bus("dram")
    assert port.read(Ask(0, 3 * 4, 2)) == Burst(33, 34), "three beats of the granule pass before"
    assert port.read(Ask(1, 64, 1)) == Burst(46, 46), "and eleven behind"


def test_addresses_and_pages_cost():
    port = bus("address_cost=7,row_miss=5,page=64")
    assert port.read(Ask(0, 0, 1)).first == 6, "no page is open"
    assert port.read(Ask(1, 60, 1)).first == 8
    assert port.read(Ask(2, 60, 2)).last == 21, "the second beat opens a page"


def test_wide_beats_are_taken_apart():
    port = bus()
    assert port.read(Ask(0, 0, 2, pace=4)) == Burst(1, 8)
    assert port.read(Ask(0, 8, 1)).first == 9


def test_jitter_is_drawn():
    ports = [bus(f"jitter=8,seed={seed}") for seed in range(200)]
    bursts = [port.read(Ask(10, 0, 32)) for port in ports]
    firsts = [burst.first - 11 for burst in bursts]
    assert set(firsts) == set(range(9))
    assert sum(firsts) / len(firsts) == pytest.approx(4, abs=0.6)
    assert {burst.last - burst.first for burst in bursts} == {31 + 16}, "beats by the mean"
    assert bus("jitter=8,seed=7").read(Ask(10, 0, 32)) == bursts[7]


def test_managers_are_served_in_time_order():
    seen = []

    def requests(name, cycles):
        for cycle in cycles:
            burst = yield Ask(cycle, 0, 1)
            seen.append((name, burst.first))

    port = bus()
    port.start(requests("one", [0, 10, 20]))
    two = port.start(requests("two", [5, 15]))
    port.finish(two)
    assert seen == [("one", 1), ("two", 6), ("one", 11), ("two", 16)]
    assert two.beats == 2


def test_what_is_asked_for_up_to_a_cycle():
    def requests():
        for cycle in (3, 5, 9):
            yield Ask(cycle, 0, 2)

    port = bus()
    port.start(requests())
    port.advance(2)
    assert port.beats == 0
    port.advance(5)
    assert port.beats == 4
