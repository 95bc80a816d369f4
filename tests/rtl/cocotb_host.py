"""Registers by name over an AXI4-Lite master that pauses at random, and a watch on the bus."""

from __future__ import annotations

import contextlib

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiResp
from cocotbext.axi.axil_channels import AxiLiteAWTransaction, AxiLiteWTransaction

from hw.spec.params import CoreConfig
from hw.spec.registers import COUNTERS, REGISTERS, Access
from sim.cocotb_axi import BUS, PERIOD, reset_core, start_core

#: The core under test: a beat is half a word.
CONFIG = CoreConfig(lanes=4, memory_beats=2048, max_inputs=128, max_outputs=64)

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

    def __init__(self, dut):
        self._dut = dut
        self.beats = dict.fromkeys(("aw", "w", "b", "ar", "r"), 0)

    def _port(self, name: str) -> int:
        return int(getattr(self._dut, f"{BUS}_{name}").value)

    async def run(self) -> None:
        """Watch until the test ends."""
        waiting: dict[str, tuple[int, ...]] = {}
        payloads = {"b": ("bresp",), "r": ("rresp", "rdata")}
        while True:
            await RisingEdge(self._dut.clk)
            if self._dut.rst.value:
                self.beats, waiting = dict.fromkeys(self.beats, 0), {}
                continue
            for channel in self.beats:
                valid, ready = self._port(f"{channel}valid"), self._port(f"{channel}ready")
                if channel in payloads:
                    payload = tuple(map(self._port, payloads[channel])) if valid else ()
                    assert payload == waiting.pop(channel, payload), f"{channel} did not wait"
                    if valid and not ready:
                        waiting[channel] = payload
                self.beats[channel] += valid and ready
            assert self.beats["b"] <= min(self.beats["aw"], self.beats["w"]), "b before its write"
            assert self.beats["r"] <= self.beats["ar"], "r before its read"

    def check(self) -> None:
        """Every access has had one answer, and none is on its way."""
        beats = self.beats
        assert beats["aw"] == beats["w"] == beats["b"] and beats["ar"] == beats["r"], beats
        assert not self._port("bvalid") and not self._port("rvalid")


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
        host._master = await start_core(dut)
        cocotb.start_soon(host.watch.run())
        host.pause()
        yield host
        await host.check_quiet()

    def pause(self) -> None:
        """Idle and hold back at random, each channel at a rate of its own; some never do."""
        for channel in self._channels():
            rate = self._rng.choice([0, 0.2, 0.5, 0.8])
            channel.set_pause_generator(self._pauses(rate))

    def _pauses(self, rate: float):
        while True:
            yield from (self._rng.random(64) < rate).tolist()

    def _channels(self):
        write, read = self._master.write_if, self._master.read_if
        yield from (write.aw_channel, write.w_channel, write.b_channel)
        yield from (read.ar_channel, read.r_channel)

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
        names = [n for n, r in REGISTERS.items() if r.access in (Access.R, Access.RW)]
        registers = {n: await self.read(n) for n in names if n != "output_address"}
        return await self.outputs(CONFIG.max_outputs), registers
