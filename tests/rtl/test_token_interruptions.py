"""Tokens disturbed at random moments; ``tests/slow`` has many more seeds."""

import dataclasses
import re

import numpy as np
import pytest

from hw.spec.registers import REGISTERS, WAITING, Error
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from sw.driver.result import DeviceError
from sw.driver.token import TokenDevice
from tests.rtl import token_interruptions
from tests.rtl.token_rig import CORES, rig

pytestmark = pytest.mark.rtl

#: A token takes so long that most units are seen at work.
SLOW = MemoryModel(latency=500, beat_interval=9)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("seed", range(100_000, 100_024))
def test_token_interruptions(core, seed):
    token_interruptions.run(core, seed)


@pytest.fixture
def device():
    """Open a core behind a slow memory, with some tokens in its caches."""
    bench = rig("mac")
    with VerilatedTransport(bench.params, memory=SLOW) as transport:
        device = TokenDevice(transport, bench.params, bench.program)
        device.length = 3
        transport.load(0, bench.images[3])
        yield device


def test_watchdog(device):
    """A token that takes too long names the units that run; after a reset it is made."""
    bench, rng = rig("mac"), np.random.default_rng(1)
    bench.check(device, bench.tokens[3], 3)
    longest, cycles, seen = device.longest, device.cycles, set()
    for _ in range(60):
        device.longest = int(rng.integers(1, cycles))
        with pytest.raises(DeviceError, match=r"not made a token in \d+ cycles") as raised:
            device.step(bench.tokens[3], 3)
        units = re.search(r"waits for (.*); reset", str(raised.value))[1]
        seen |= {name for name, text in WAITING.items() if text in units}
        device.reset()
    brief = {"forgotten", "embed", "feed", "rotate", "softmax"}
    assert seen >= set(WAITING) - brief - {"combine"}  # decoders do not combine
    device.longest = longest
    bench.check(device, bench.tokens[3], 3)


def test_memory_that_never_answers():
    bench = rig("mac")
    with VerilatedTransport(bench.params, memory=MemoryModel(latency=1 << 40)) as transport:
        device = TokenDevice(transport, bench.params, bench.program)
        device.longest = 2000
        with pytest.raises(DeviceError, match=r"at instruction 0 \(LOAD\) it waits for the next"):
            device.step(0, 0)
        with pytest.raises(DeviceError, match="waits for what a stopped program had asked of"):
            device.reset()


def test_end_of_memory(device):
    """A program may end where memory ends: what is fetched ahead of its end does no harm."""
    bench, transport = rig("mac"), device.transport
    size = len(bench.program.image) - bench.program.address
    place = bench.params.memory_beats * bench.params.beat_bits // 8 - size
    octets = bench.program.image[bench.program.address :]
    transport.load(place, octets)
    device.program = dataclasses.replace(bench.program, address=place)
    errors = transport.memory_counts().errors
    expected = bench.expected(bench.tokens[3], 3)[0]
    assert device.step(bench.tokens[3], 3) == expected
    assert transport.memory_counts().errors > errors


def test_commands_together(device):
    """Start and run at once are a run, and reset wins over both; later tokens are right."""
    bench, control, status = rig("mac"), REGISTERS["control"], REGISTERS["status"]
    transport, busy = device.transport, status.pack(busy=1)
    for commands in ({"start": 1, "run": 1}, {"reset": 1, "run": 1}, {"start": 1}):
        bench.check(device, bench.tokens[3], 3)
        transport.write(control.address, control.pack(**commands))
        transport.wait(status.address, busy, 0, device.longest)
        state = status.unpack(transport.read(status.address))
        assert state["done"] == ("reset" not in commands) or state["error"] == Error.INPUTS
    bench.check(device, bench.tokens[3], 3)
