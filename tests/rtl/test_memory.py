"""Both models of device memory behind the smallest module that writes to it."""

import numpy as np
import pytest

from hw.build import TOP, convert
from sim import cocotb_transport, verilated
from sim.cocotb_transport import CocotbTransport
from sim.verilated import VerilatedTransport
from tests.rtl.memory_probe import ADDRESS, OCTET, READS, STATUS, MemoryProbe
from tests.unit.hw.sequence.cores import params

pytestmark = pytest.mark.rtl

SIZE = 1 << 14


@pytest.fixture(params=[32, 1024])
def core(request, monkeypatch):
    bus = request.param
    core = params(bus, memory_beats=SIZE * 8 // max(32, bus), axi_id_width=2)
    verilog = convert(MemoryProbe(core), TOP)
    monkeypatch.setattr(verilated, "_verilog", lambda config: verilog)
    monkeypatch.setattr(cocotb_transport, "generate", lambda params: (verilog, {}))
    return core


@pytest.fixture
def open_transport(core):
    transports = []

    def open_one(make, **options):
        transports.append(make(core, **options))
        return transports[-1]

    yield open_one
    for transport in transports:
        transport.close()


def _store(transport, address, octets):
    """Store bytes; return how many failures there have been."""
    transport.write(ADDRESS, address)
    transport.write_window(OCTET, np.array(octets, np.uint32))
    transport.wait(STATUS, 1, 1, 10_000)
    return transport.read(STATUS) >> 1


def _read(transport, manager, address):
    transport.write(ADDRESS, address)
    transport.write(READS[manager], 0)
    transport.tick(200)
    return transport.read(READS[manager])


def _play(transport, beat):
    """Write here and there; nothing but these bytes may change."""
    rng = np.random.default_rng(beat)
    expected = rng.integers(0, 256, SIZE, np.uint8)
    transport.load(0, expected)
    count = 0
    for length in (1, 3, 17, 150):
        address = int(rng.integers(0, SIZE - length))
        octets = rng.integers(0, 256, length, np.uint8)
        assert _store(transport, address, octets) == 0
        expected[address : address + length] = octets
        count += length
    assert (transport.dump(0, SIZE) == expected).all()
    for manager in (0, 1, 1, 0):
        place = int(rng.integers(0, SIZE // beat)) * beat
        word = int.from_bytes(expected[place : place + 4].tobytes(), "little")
        assert _read(transport, manager, place) == word
    return count


@pytest.mark.parametrize("memory", ["ideal", "dram", "latency=5,jitter=9,seed=2"])
def test_verilated(open_transport, core, memory):
    transport = open_transport(VerilatedTransport, memory=memory)
    count = _play(transport, core.axi_data_width // 8)
    counts = transport.memory_counts()
    assert (counts.writes, counts.beats, counts.errors, counts.violations) == (count, 4, 0, 0)


def test_write_errors(open_transport):
    """A response that was asked for, one that was taken back, and an address behind the end."""
    transport = open_transport(VerilatedTransport)
    transport.fail_write(1, 2)
    assert _store(transport, 100, [7, 8, 9]) == 1
    octets = transport.dump(100, 3).tolist()
    assert octets[:2] == [7, 0]
    transport.fail_write(0, 3)
    transport.heal()
    assert _store(transport, 200, [5]) == 1
    assert _store(transport, SIZE, [6]) == 2
    assert transport.memory_counts().errors == 2
    assert transport.memory_counts().violations == 0


def test_cocotb(open_transport, core):
    transport = open_transport(CocotbTransport, pause_seed=4)
    _play(transport, core.axi_data_width // 8)
