"""The in-process transport: bulk windows, waveforms, and clear errors."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import MAGIC, REGISTERS
from sim import verilator
from sim.verilated import BusError, BusTimeoutError, VerilatedTransport
from sw.errors import UserError

pytestmark = pytest.mark.rtl


def test_windows_keep_their_order(host8):
    address, data = REGISTERS["memory_address"].address, REGISTERS["memory_data"].address
    words = np.arange(100, dtype=np.uint32) * 0x01010101
    host8.transport.write(address, 7)
    host8.transport.write_window(data, words)
    assert host8.transport.read(address) == 107
    host8.transport.write(address, 7)
    assert list(host8.transport.read_window(data, 100)) == list(words)


def test_refused_access(host8):
    with pytest.raises(BusError, match="refused a write to address 0xfc"):
        host8.transport.write(0xFC, 1)
    with pytest.raises(BusError, match="refused a read of address 0xfc"):
        host8.transport.read(0xFC)


def test_write_failures_need_a_core_that_writes(host8):
    with pytest.raises(UserError, match="never writes to memory; give it vector_words"):
        host8.transport.fail_write(0, 2)


def test_wait_gives_up(host8):
    before = host8.transport.cycles
    with pytest.raises(BusTimeoutError, match=r"0x00 did not become 0x1 \(mask 0x1\) within 200"):
        host8.transport.wait(0, 1, (MAGIC & 1) ^ 1, 200)
    assert 200 <= host8.transport.cycles - before < 220


def test_second_core_comes_from_the_cache(host8):
    with VerilatedTransport(host8.params) as other:
        assert other.build_seconds < 10
        assert other.read(0) == MAGIC
        host8.write("shape", 0x20005)
        assert other.read(REGISTERS["shape"].address) == 0
    with pytest.raises(UserError, match="simulation is closed"):
        other.read(0)


def test_missing_tools(monkeypatch):
    """Without tools the message names them; nothing else is tried."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"Simulation needs .*perl, make, g\+\+ on PATH"):
        verilator.environment()


def test_makefile_finds_python(monkeypatch, tmp_path):
    """Many systems have it as ``python3`` alone."""
    for tool in ("perl", "make", "g++"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = shutil.which("python", path=verilator.environment()["PATH"])
    assert found == str(Path(sys.executable).with_name("python"))


def test_waveform(tmp_path):
    path = tmp_path / "core.fst"
    params = CoreParams(CoreConfig(lanes=2, memory_beats=72, max_inputs=64, max_outputs=2))
    with VerilatedTransport(params, trace=path) as transport:
        assert transport.read(0) == MAGIC
    assert path.stat().st_size > 1000
