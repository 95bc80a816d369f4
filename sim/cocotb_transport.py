"""The core simulated under cocotb in another process, reached through an independent bus model."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hw.build import TOP, generate
from hw.spec.params import CoreParams
from hw.spec.registers import SPAN
from sim import cocotb_runner
from sim.verilated import BusError, BusTimeoutError
from sw.driver.transport import Transport
from sw.errors import UserError

_SERVER = "sim.cocotb_server"
_OKAY = 0
_NO_ANSWER = -1

#: Words and cycles of one request: a second or so.
_CHUNK_WORDS = 4096
_CHUNK_CYCLES = 50_000

#: Cycles after which an access has no answer.
_BOUND = 1000

#: Seconds that a simulation may take to end by itself.
_PATIENCE = 10


class CocotbTransport(Transport):
    """Transport of the driver to a core under cocotb.

    Parameters
    ----------
    params : CoreParams
        The core. It is built when it is first asked for, which takes up to a few minutes.
    timeout : float
        Seconds to wait for each answer of the simulation.
    pause_seed : int, optional
        Seed of random pauses on every channel of the core's buses; none if not given.

    Attributes
    ----------
    cycles : int
        Clock cycles simulated so far.
    build_seconds : float
        Time that generating and building took.

    Raises
    ------
    UserError
        If a tool or package that the build needs is missing, or the simulation does not start.
    """

    def __init__(self, params: CoreParams, *, timeout: float = 120, pause_seed: int | None = None):
        started = time.monotonic()
        verilog, _ = generate(params)
        simulation = cocotb_runner.build(verilog, TOP)
        self.build_seconds = time.monotonic() - started
        self._timeout = timeout
        self._memory_size = params.memory_beats * params.beat_bits // 8 if params.external else 0
        self._folder = Path(tempfile.mkdtemp(prefix="firstspike-cocotb-"))
        # A socket that only the two processes hold: when either dies, the other sees its end.
        self._connection, far_end = multiprocessing.Pipe()
        with far_end:
            self._child: subprocess.Popen | None = cocotb_runner.start(
                simulation, TOP, _SERVER, folder=self._folder, stdin=far_end.fileno()
            )
        self._send(self._memory_size, pause_seed)
        self._receive()

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._request("cycles", bound=_BOUND)[1]

    def write_window(self, address: int, words: np.ndarray) -> None:
        """Write all words to the same address, in order.

        Raises
        ------
        BusError
            If the core refuses a word, or does not answer; the words before it are written.
        """
        words = np.asarray(words, "<u4").ravel()
        for first in range(0, len(words), _CHUNK_WORDS):
            chunk = words[first : first + _CHUNK_WORDS]
            self._access("write", address, chunk.tobytes(), bound=_BOUND * len(chunk))

    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read the same address ``count`` times; returns uint32 (count,).

        Raises
        ------
        BusError
            If the core refuses, or does not answer.
        """
        sizes = [min(_CHUNK_WORDS, count - first) for first in range(0, count, _CHUNK_WORDS)]
        chunks = [self._access("read", address, size, bound=_BOUND * size) for size in sizes]
        return np.frombuffer(b"".join(chunks), "<u4").astype(np.uint32)

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Read a register until ``register & mask == value``.

        Raises
        ------
        BusTimeoutError
            If that is not so after ``max_cycles`` clock cycles.
        """
        for first in range(0, max(max_cycles, 1), _CHUNK_CYCLES):
            limit = min(_CHUNK_CYCLES, max_cycles - first)
            if self._access("wait", address, mask, value, limit, bound=limit + _BOUND):
                return
        raise BusTimeoutError(
            f"The core's register 0x{address:02x} did not become 0x{value:x} (mask 0x{mask:x}) "
            f"within {max_cycles} cycles; reset the core or allow more."
        )

    def load(self, address: int, octets: np.ndarray) -> None:
        """Put bytes into external memory at a byte address, in no time.

        Raises
        ------
        UserError
            If the core has no external memory, or it ends before.
        """
        octets = np.ascontiguousarray(octets).view(np.uint8).ravel()
        self._check_memory(address, len(octets))
        self._request("load", address, octets.tobytes(), bound=_BOUND)

    def dump(self, address: int, count: int) -> np.ndarray:
        """Bytes of external memory, uint8 (count,); errors as :meth:`load`."""
        self._check_memory(address, count)
        _, octets = self._request("dump", address, count, bound=_BOUND)
        return np.frombuffer(octets, np.uint8).copy()

    def tick(self, count: int) -> None:
        """Let ``count`` clock cycles pass."""
        self._request("tick", count, bound=count + _BOUND)

    def close(self) -> None:
        """End the simulation; may be called again."""
        if self._child is not None:
            self._end()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check_memory(self, address: int, count: int) -> None:
        if not self._memory_size:
            raise UserError("This core's memory is on chip; write it through memory_data.")
        if address + count > self._memory_size:
            raise UserError(f"External memory has no {count} bytes at address 0x{address:x}.")

    def _access(self, name: str, address: int, *arguments, bound: int) -> Any:
        if not 0 <= address < SPAN:
            raise BusError(f"The core has {SPAN} bytes of registers, no address 0x{address:x}.")
        response, value = self._request(name, address, *arguments, bound=bound)
        what = f"{'write to' if name == 'write' else 'read of'} address 0x{address:02x}"
        if response == _NO_ANSWER:
            raise BusTimeoutError(f"The core did not answer a {what}.")
        if response != _OKAY:
            raise BusError(f"The core refused a {what}.")
        return value

    def _request(self, name: str, *arguments, bound: int) -> tuple[int, Any]:
        if self._child is None:
            raise UserError("This simulation is closed; open another CocotbTransport.")
        self._send(name, bound, *arguments)
        return self._receive()

    def _send(self, *message) -> None:
        with contextlib.suppress(OSError):  # receiving tells why
            self._connection.send(message)

    def _receive(self) -> tuple[int, Any]:
        why = f"gave no answer for {self._timeout:g} seconds"
        try:
            if self._connection.poll(self._timeout):
                return self._connection.recv()
        except (EOFError, OSError):
            why = "ended unexpectedly"
        except BaseException:
            self.close()
            raise
        self._end()
        raise UserError(
            f"The simulation under cocotb {why}; its log is {self._folder / cocotb_runner.LOG}."
        )

    def _end(self) -> None:
        """Let the simulation end, or kill it and its runner."""
        child, self._child = self._child, None
        self._connection.close()
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
            cocotb_runner.kill(child)
