"""The core under cocotb: its bench, and the driver over `CocotbTransport`."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import torch
from cocotb_tools.runner import get_results

from hw.build import TOP, generate
from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams
from hw.spec.registers import MAGIC, REGISTERS
from sim import cocotb_runner, cocotb_transport
from sim.cocotb_transport import CocotbTransport
from sim.verilated import BusError, BusTimeoutError
from sw.compile.image import DeviceImage, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.errors import UserError
from sw.golden.codes import encode
from sw.golden.counters import event_counters, memory_counters
from sw.golden.matrix import Matrix
from tests.rtl.cocotb_host import CORE_VARIABLE, CORES
from tests.unit.golden.models import random_matrix

pytestmark = pytest.mark.rtl

#: Seed of the bench; FIRSTSPIKE_SEED sets another.
SEED = os.environ.get("FIRSTSPIKE_SEED", "1")

#: Benches of a core, and the least number of their tests: none may go missing.
BENCHES = {
    "onchip": ("tests.rtl.cocotb_core,tests.rtl.cocotb_bus", 34),
    "axi": ("tests.rtl.cocotb_core", 30),
}

PARAMS = CoreParams(CORES["mac"])


@pytest.fixture(scope="module")
def transport():
    with CocotbTransport(PARAMS) as transport:
        yield transport


@pytest.fixture
def doomed(tmp_path, monkeypatch):
    """Transport that a test may kill; its files go with the test's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with CocotbTransport(PARAMS) as transport:
        yield transport


@pytest.mark.parametrize("core", CORES)
def test_bench(tmp_path, core):
    """Run all tests of the bench in one simulation."""
    print(f"seed {SEED}: FIRSTSPIKE_SEED sets another")
    simulation = cocotb_runner.build(generate(CoreParams(CORES[core]))[0], TOP)
    variables = {"COCOTB_RANDOM_SEED": SEED, CORE_VARIABLE: core}
    bench, least = BENCHES[CORES[core].memory]
    child = cocotb_runner.start(simulation, TOP, bench, folder=tmp_path, variables=variables)
    try:
        child.wait(300)
    finally:
        cocotb_runner.kill(child)
        print((tmp_path / cocotb_runner.LOG).read_text("utf-8"))
    tests, failed = get_results(tmp_path / cocotb_runner.RESULTS)
    assert failed == 0, f"{failed} of {tests} cocotb tests failed with seed {SEED}"
    assert tests >= least and child.returncode == 0


def multiply(transport, params, layout):
    """The driver multiplies over independent bus models as the golden model does."""
    rng = np.random.default_rng(1)
    weights = random_matrix(rng, 23, 63, layout)
    image = DeviceImage(
        name="test",
        source={},
        table="companded",
        configuration=f"{params.hash:016x}",
        matrices={"m": pack_matrix(weights, params.lanes)},
    )
    device = Device(transport, params)
    device.load(image)
    x = rng.integers(-32767, 32768, 63)
    quantizer = Quantizer(constant=367, threshold=4, silent_level=0)
    result = device.matvec("m", x, quantizer=quantizer, table="companded")
    encoded = encode(torch.from_numpy(x), table=TABLES["companded"], constant=367)
    assert result.accumulators.tolist() == Matrix(weights).matvec(encoded).tolist()
    assert result.base == int(encoded.base)
    expected = event_counters(encoded) | memory_counters(
        encoded,
        weight_format=layout,
        rows=23,
        lanes=params.lanes,
        memory=params.config.memory,
        hole=params.hole,
    )
    del expected["window_steps"]
    assert {name: result.counters[name] for name in expected} == expected
    return result


def test_device(transport):
    multiply(transport, PARAMS, W8)
    with pytest.raises(UserError, match="memory is on chip; write it through memory_data"):
        transport.load(0, np.zeros(4, np.uint8))


def test_device_with_external_memory():
    """Pauses cost cycles and change nothing else; memory has an end."""
    params = CoreParams(CORES["axi"])
    with CocotbTransport(params) as eager, CocotbTransport(params, pause_seed=3) as pausing:
        fast, slow = multiply(eager, params, W4), multiply(pausing, params, W4)
        assert slow.counters["cycles"] > fast.counters["cycles"]
        octets = np.arange(12, dtype=np.uint8)
        size = params.beat_bits // 8 * params.memory_beats
        eager.load(size - 12, octets)
        assert list(eager.dump(size - 12, 12)) == list(octets)
        with pytest.raises(UserError, match="External memory has no 12 bytes at address 0x3ff5"):
            eager.load(size - 11, octets)


def test_refusals_leave_the_transport_usable(transport):
    with pytest.raises(BusError, match="refused a write to address 0x00"):
        transport.write(REGISTERS["magic"].address, 1)
    with pytest.raises(BusError, match="refused a read of address 0x10"):
        transport.read(REGISTERS["control"].address)
    with pytest.raises(BusError, match="no address 0x100"):
        transport.read(0x100)
    with pytest.raises(BusTimeoutError, match="0x14 did not become 0x1 .* within 100 cycles"):
        transport.wait(REGISTERS["status"].address, 1, 1, 100)
    before = transport.cycles
    transport.tick(17)
    assert transport.cycles == before + 17
    assert transport.read(REGISTERS["magic"].address) == MAGIC


def test_closed_transport(doomed):
    child, folder = doomed._child, doomed._folder
    doomed.close()
    doomed.close()
    assert child.returncode == 0 and not folder.exists()
    with pytest.raises(UserError, match="closed; open another CocotbTransport"):
        doomed.read(0)


def test_dead_simulation(doomed):
    """One sentence that names the log, which is kept."""
    os.killpg(doomed._child.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="ended unexpectedly; its log is .*simulation.log"):
        doomed.read(0)
    assert (doomed._folder / cocotb_runner.LOG).exists()


def test_silent_simulation(doomed, monkeypatch):
    monkeypatch.setattr(cocotb_transport, "_PATIENCE", 0.1)
    doomed._timeout = 0.5
    os.killpg(doomed._child.pid, signal.SIGSTOP)
    with pytest.raises(UserError, match="gave no answer for 0.5 seconds; its log is"):
        doomed.read(0)


def test_dead_host_ends_the_simulation(tmp_path):
    """No process stays behind, however this one ends."""
    script = (
        "import os\n"
        "from sim.cocotb_transport import CocotbTransport\n"
        "from tests.rtl.cocotb_host import PARAMS\n"
        "print(CocotbTransport(PARAMS)._child.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(100):
        try:
            os.killpg(int(run.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("the simulation still runs")


@pytest.mark.parametrize("module", ["cocotb", "cocotbext"])
def test_missing_package(monkeypatch, module):
    find_spec = cocotb_runner.importlib.util.find_spec
    monkeypatch.setattr(
        cocotb_runner.importlib.util, "find_spec", lambda n: None if n == module else find_spec(n)
    )
    with pytest.raises(UserError, match="needs cocotb.*pip install"):
        cocotb_runner.build("", TOP)
