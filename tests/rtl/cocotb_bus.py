"""Bench of the core's bus under cocotb: what it refuses, its windows, reads among writes."""

from __future__ import annotations

import cocotb

from hw.spec.registers import MAGIC, REGISTERS, SPAN, Access, Error, registers_of
from tests.rtl.cocotb_host import CONFIG, OKAY, REFUSED, Host, generator

IDLE = {"busy": 0, "done": 0, "error": Error.NONE}


@cocotb.test()
async def refused_accesses(dut):
    """Unmapped addresses, and what a register's kind of access does not allow."""
    async with Host.open(dut, generator(7)) as host:
        known = {register.address: register for register in registers_of(crossbar=False).values()}
        readable = {Access.R, Access.RW}
        for address in range(0, SPAN, 4):
            access = known[address].access if address in known else None
            if access is not Access.WINDOW:
                response = await host.access(address)
                assert response.resp == (OKAY if access in readable else REFUSED), hex(address)
                assert access in readable or response.data == bytes(4)
            if access in (None, Access.R):
                assert (await host.access(address, b"\xff" * 4)).resp == REFUSED, hex(address)
        assert await host.read("magic") == MAGIC
        assert await host.status() == IDLE


@cocotb.test()
async def partial_strobes(dut):
    """A write without all its bytes is refused and has no effect, also on a window's address."""
    rng = generator(8)
    async with Host.open(dut, rng) as host:
        marker = int(rng.integers(1 << 32))
        await host.write("weight_base", marker)
        await host.write_window("memory", 5, [0x1234])
        await host.write("memory_address", 5)
        for strobes in range(15):
            for name in ("weight_base", "memory_data", "control"):
                assert await host.write_strobes(name, 0xFFFFFFFF, strobes) == REFUSED
        assert await host.read("weight_base") == marker
        assert await host.read("memory_address") == 5
        assert await host.read("memory_data") == 0x1234
        assert await host.status() == IDLE
        address = REGISTERS["weight_base"].address
        for offset in range(1, 4):  # the two lowest address bits are ignored
            response = await host.access(address + offset, length=4 - offset)
            assert response.data == marker.to_bytes(4, "little")[offset:]


@cocotb.test()
async def windows(dut):
    """Words come back without the bits beyond a beat; nothing is behind a window's end."""
    rng = generator(9)
    async with Host.open(dut, rng) as host:
        start = CONFIG.memory_beats - 50
        words = rng.integers(0, 1 << 32, 50)
        await host.write_window("memory", start, words)
        assert await host.read_window("memory", start, 50) == (words & 0xFFFF).tolist()
        ends = {"memory": CONFIG.memory_beats, "input": CONFIG.max_inputs}
        ends["output"] = 2 * CONFIG.max_outputs
        for name, end in ends.items():
            for beyond in (end, 1 << 31):
                await host.write(f"{name}_address", beyond)
                data = REGISTERS[f"{name}_data"].address
                assert (await host.access(data)).resp == REFUSED
                assert (await host.access(data, bytes(4))).resp == REFUSED
                assert await host.read(f"{name}_address") == beyond
        for name, data in (("input", None), ("output", bytes(4))):
            await host.write(f"{name}_address", 0)
            assert (await host.access(REGISTERS[f"{name}_data"].address, data)).resp == REFUSED
            assert await host.read(f"{name}_address") == 0


@cocotb.test()
async def traffic(dut):
    """Reads and writes at the same time; neither side starves or gets the other's answer."""
    rng = generator(10)
    words = rng.integers(0, 1 << 32, 150).tolist()

    async def write_all(host):
        for word in words:
            await host.write("weight_base", word)

    async with Host.open(dut, rng) as host:
        writer = cocotb.start_soon(write_all(host))
        before = 0
        for _ in range(150):
            assert await host.read("magic") == MAGIC
            seen = await host.read("weight_base")
            place = words.index(seen) if seen in words else 0
            assert before <= place and seen in (0, words[place])
            before = place
        await writer
        assert await host.read("weight_base") == words[-1]
