"""Test module that serves register accesses instead of testing: `sim.cocotb_transport`'s far end.

What comes first over the socket that is the simulation's standard input are the arguments of
`Server.open`. Then a request is the name of a method of `Server`, the clock cycles that it may take
and its arguments; the reply takes the same way. Simulated time passes only while a request is
served.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, SimTimeoutError, with_timeout
from cocotbext.axi import AxiLiteMaster, AxiRam, AxiRamRead

from sim.cocotb_axi import PERIOD, channels, cycles, join_memory, pause, start_core

#: First member of a reply: an AXI response (0 is OKAY), or this where the core did not answer.
NO_ANSWER = -1
OKAY = 0

WORD_BYTES = 4


class Server:
    """What a request can ask for; every method returns an AXI response and a value."""

    def __init__(self, dut, master: AxiLiteMaster, memory: AxiRam | AxiRamRead | None):
        self._dut, self._master, self._start = dut, master, cycles()
        self._memory: Any = memory  # there is one where the host loads it

    @classmethod
    async def open(cls, dut, size: int, seed: int | None) -> Server:
        """Join ``size`` bytes of memory, start the core, and pause at random if there is a seed."""
        memory = join_memory(dut, size) if size else None
        master = await start_core(dut)
        if seed is not None:
            pause(channels(master, memory), np.random.default_rng(seed))
        return cls(dut, master, memory)

    async def write(self, address: int, words: bytes) -> tuple[int, None]:
        """Write 32-bit words to one address, up to the first that is refused."""
        for i in range(0, len(words), WORD_BYTES):
            response = await self._master.write(address, words[i : i + WORD_BYTES])
            if response.resp != OKAY:
                return int(response.resp), None
        return OKAY, None

    async def read(self, address: int, count: int) -> tuple[int, bytes]:
        """Read one address ``count`` times, up to the first refusal."""
        words = bytearray()
        for _ in range(count):
            response = await self._master.read(address, WORD_BYTES)
            if response.resp != OKAY:
                return int(response.resp), b""
            words += response.data
        return OKAY, bytes(words)

    async def wait(self, address: int, mask: int, value: int, limit: int) -> tuple[int, bool]:
        """Read until ``word & mask == value``; false if that takes more than ``limit`` cycles."""
        end = cycles() + limit
        while True:
            response, word = await self.read(address, 1)
            if response != OKAY:
                return response, False
            if int.from_bytes(word, "little") & mask == value:
                return OKAY, True
            if cycles() >= end:
                return OKAY, False

    async def load(self, address: int, octets: bytes) -> tuple[int, None]:
        """Put bytes into external memory, in no time."""
        self._memory.write(address, octets)
        return OKAY, None

    async def dump(self, address: int, count: int) -> tuple[int, bytes]:
        """Bytes of external memory."""
        return OKAY, bytes(self._memory.read(address, count))

    async def tick(self, count: int) -> tuple[int, None]:
        """Let clock cycles pass."""
        await ClockCycles(self._dut.clk, count)
        return OKAY, None

    async def cycles(self) -> tuple[int, int]:
        """Count the clock cycles since the core was reset."""
        return OKAY, cycles() - self._start


@cocotb.test()
async def serve(dut) -> None:
    """Serve until the other end closes the connection."""
    with Connection(os.dup(0)) as connection:
        try:
            server = await Server.open(dut, *connection.recv())
            connection.send((OKAY, None))
            while True:
                name, bound, *arguments = connection.recv()
                try:
                    work = getattr(server, name)(*arguments)
                    reply = await with_timeout(work, bound * PERIOD, "step")
                except SimTimeoutError:
                    reply = NO_ANSWER, None
                connection.send(reply)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
