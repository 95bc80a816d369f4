"""Registers by name over an AXI4-Lite master that pauses at random, and a watch on the bus."""

from __future__ import annotations

import contextlib
import os

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiResp
from cocotbext.axi.axil_channels import AxiLiteAWTransaction, AxiLiteWTransaction

from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import COUNTERS, REGISTERS, Access, registers_of
from sim.cocotb_axi import (
    BUS,
    MEMORY_BUS,
    PERIOD,
    channels,
    join_memory,
    pause,
    reset_core,
    start_core,
)

#: Names the core under test.
CORE_VARIABLE = "FIRSTSPIKE_CORE"

_SMALL = CoreConfig(lanes=4, memory_beats=2048, max_inputs=128, max_outputs=64)

#: Cores to test. A beat is half a word on chip, and two words, in two bus beats, outside.
CORES = {
    "mac": _SMALL,
    "spike": _SMALL.replace(integrator="spike"),
    "axi": _SMALL.replace(
        lanes=16,
        integrator="spike",
        memory="axi",
        axi_data_width=32,
        hole=3,
        outstanding=3,
        ring_groups=5,
    ),
}
CONFIG = CORES[os.environ.get(CORE_VARIABLE, "mac")]
PARAMS = CoreParams(CONFIG)

#: Most clock cycles of an access, and most polls of an instruction.
BOUND = 5000

#: Clock cycles in which nothing may come out of an idle core.
QUIET = 300

OKAY, REFUSED = AxiResp.OKAY, AxiResp.SLVERR


def generator(*case: int) -> np.random.Generator:
    """Randomness of a case, from the seed of the run."""
    return np.random.default_rng([cocotb.RANDOM_SEED, *case])


class Watch:
    """Counts the handshakes of all channels; an answer must wait unchanged for its ready.

    Parameters
    ----------
    dut : HierarchyObject
        The core.
    """

    #: What the core offers, and what it must hold until that is taken.
    _OFFERS = {
        f"{BUS}_b": ("resp",),
        f"{BUS}_r": ("resp", "data"),
        f"{MEMORY_BUS}_ar": ("addr", "len"),
    }

    def __init__(self, dut):
        self._dut = dut
        memory = (f"{MEMORY_BUS}_{name}" for name in ("ar", "r") if PARAMS.external)
        self._channels = [*(f"{BUS}_{name}" for name in ("aw", "w", "b", "ar", "r")), *memory]
        self._clear()

    def _clear(self) -> None:
        self.beats, self._open_bursts = dict.fromkeys(self._channels, 0), 0

    def _port(self, name: str) -> int:
        return int(getattr(self._dut, name).value)

    async def run(self) -> None:
        """Watch until the test ends."""
        waiting: dict[str, tuple[int, ...]] = {}
        while True:
            await RisingEdge(self._dut.clk)
            if self._dut.rst.value:
                self._clear()
                waiting = {}
                continue
            for channel in self._channels:
                valid, ready = self._port(f"{channel}valid"), self._port(f"{channel}ready")
                if channel in self._OFFERS:
                    ports = self._OFFERS[channel]
                    offer = tuple(self._port(channel + port) for port in ports) if valid else ()
                    assert offer == waiting.pop(channel, offer), f"{channel} did not wait"
                    if valid and not ready:
                        waiting[channel] = offer
                self.beats[channel] += valid and ready
                if valid and ready and channel == f"{MEMORY_BUS}_ar":
                    self._open_bursts += 1
                if valid and ready and channel == f"{MEMORY_BUS}_r":
                    self._open_bursts -= self._port(f"{MEMORY_BUS}_rlast")
            aw, w, b, ar, r = (self.beats[channel] for channel in self._channels[:5])
            assert b <= min(aw, w), "b before its write"
            assert r <= ar, "r before its read"

    def check(self) -> None:
        """Every access and burst has been answered, and no other is on its way."""
        aw, w, b, ar, r = (self.beats[channel] for channel in self._channels[:5])
        assert aw == w == b and ar == r and not self._open_bursts, self.beats
        assert not any(self._port(f"{c}valid") for c in self._OFFERS if c in self._channels)


class Host:
    """A core under test; make it with `open`.

    Parameters
    ----------
    dut : HierarchyObject
        The core.
    rng : numpy.random.Generator
        Source of the pauses.
    """

    def __init__(self, dut, rng: np.random.Generator):
        self.dut, self._rng, self.watch = dut, rng, Watch(dut)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, dut, rng: np.random.Generator):
        """Reset core with random pauses; nothing extra may come out of it in the end."""
        host = cls(dut, rng)
        size = PARAMS.memory_beats * PARAMS.beat_bits // 8
        host._memory = join_memory(dut, size) if PARAMS.external else None
        host._master = await start_core(dut)
        cocotb.start_soon(host.watch.run())
        host.pause()
        yield host
        await host.check_quiet()

    def pause(self) -> None:
        """Pause at random on all channels."""
        pause(self._channels(), self._rng)

    def _channels(self):
        return channels(self._master, self._memory)

    @property
    def memory_beats(self) -> int:
        """Beats of the core that external memory has given."""
        return self.watch.beats[f"{MEMORY_BUS}_r"] * PARAMS.axi_data_width // PARAMS.beat_bits

    async def access(self, address: int, data: bytes | None = None, length: int = 4):
        """Write bytes, or read some; returns the bus model's response."""
        master = self._master
        work = master.read(address, length) if data is None else master.write(address, data)
        return await with_timeout(work, BOUND * PERIOD, "step")

    async def write(self, name: str, value: int | None = None, **fields: int) -> None:
        register = REGISTERS[name]
        word = register.pack(**fields) if value is None else value
        response = await self.access(register.address, word.to_bytes(4, "little"))
        assert response.resp == OKAY, name

    async def read(self, name: str) -> int:
        response = await self.access(REGISTERS[name].address)
        assert response.resp == OKAY, name
        return int.from_bytes(response.data, "little")

    async def write_strobes(self, name: str, value: int, strobes: int) -> int:
        """Write some bytes of a register, any of them; returns the response."""
        write = self._master.write_if
        await write.w_channel.send(AxiLiteWTransaction(wdata=value, wstrb=strobes))
        await write.aw_channel.send(AxiLiteAWTransaction(awaddr=REGISTERS[name].address))
        answer = await with_timeout(write.b_channel.recv(), BOUND * PERIOD, "step")
        return int(answer.bresp)

    async def write_window(self, name: str, start: int, words) -> None:
        await self.write(f"{name}_address", start)
        for word in np.asarray(words).ravel():
            await self.write(f"{name}_data", int(word))

    async def write_memory(self, beat: int, words: np.ndarray) -> None:
        """Write whole beats to synapse memory."""
        if self._memory:
            self._memory.write(PARAMS.beat_bits // 8 * beat, words.astype("<u4").tobytes())
        else:
            await self.write_window("memory", PARAMS.words_per_beat * beat, words)

    async def read_window(self, name: str, start: int, count: int) -> list[int]:
        await self.write(f"{name}_address", start)
        return [await self.read(f"{name}_data") for _ in range(count)]

    async def status(self) -> dict[str, int]:
        return REGISTERS["status"].unpack(await self.read("status"))

    async def outputs(self, count: int) -> list[int]:
        words = await self.read_window("output", 0, 2 * count)
        return np.array(words, "<u4").view("<i8").tolist()

    async def counters(self) -> dict[str, int]:
        return {name: await self.read(name) for name in COUNTERS}

    async def wait(self) -> None:
        """Poll the status until the core is idle."""
        for _ in range(BOUND):
            if not (await self.status())["busy"]:
                return
        raise AssertionError("the core stays busy")

    async def tick(self, cycles: int) -> None:
        if cycles:
            await ClockCycles(self.dut.clk, cycles)

    async def reset(self) -> None:
        """Reset by the pin, with a write and a read on the bus."""
        for access in (self._master.init_write(0x40, bytes(4)), self._master.init_read(0x40, 4)):
            assert not access.is_set()
        await self.tick(int(self._rng.integers(1, 6)))
        await reset_core(self.dut)

    async def check_quiet(self) -> None:
        """Nothing extra comes out, and what the host can read stays as it is."""
        for channel in self._channels():
            channel.clear_pause_generator()
            channel.pause = False
        visible = await self._visible()
        await self.tick(1)
        beats = dict(self.watch.beats)
        for _ in range(QUIET):
            await RisingEdge(self.dut.clk)
            self.watch.check()
        assert self.watch.beats == beats
        assert await self._visible() == visible

    async def _visible(self) -> tuple:
        """Whole output buffer and all registers that read as they are."""
        names = [
            n for n, r in registers_of(crossbar=False).items() if r.access in (Access.R, Access.RW)
        ]
        registers = {n: await self.read(n) for n in names if n != "output_address"}
        return await self.outputs(CONFIG.max_outputs), registers
