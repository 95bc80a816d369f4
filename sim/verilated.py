"""The Verilated core in this process, reached through its own AXI4-Lite port."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import os
import time

import numpy as np

from hw.build import TOP, generate
from hw.spec.params import CoreConfig, CoreParams
from sim.memory import MemoryCounts, MemoryModel
from sim.verilator import build
from sw.driver.transport import Transport
from sw.errors import UserError

_OKAY = 0
_NO_ANSWER = -1


class BusError(UserError):
    """The core refused an access."""


class BusTimeoutError(BusError, TimeoutError):
    """The core did not answer in time."""


@functools.cache
def _verilog(config: CoreConfig) -> str:
    """Generate the Verilog of a core, once in this process: it takes seconds."""
    return generate(CoreParams(config))[0]


def _load(path, *, memory: bool, writes: bool) -> ctypes.CDLL:
    """Library with the argument types of its functions declared."""
    library = ctypes.CDLL(str(path))
    words = np.ctypeslib.ndpointer(np.uint32, flags="C_CONTIGUOUS")
    numbers = np.ctypeslib.ndpointer(np.uint64, flags="C_CONTIGUOUS")
    octets = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
    word, number, handle = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    functions = [
        ("open", handle, (ctypes.c_char_p,)),
        ("close", None, (handle,)),
        ("cycles", number, (handle,)),
        ("tick", None, (handle, number)),
        ("write", ctypes.c_int, (handle, word, words, number)),
        ("read", ctypes.c_int, (handle, word, words, number)),
        ("wait", ctypes.c_int, (handle, word, word, word, number)),
    ]
    if memory:
        functions += [
            ("memory_open", None, (handle, numbers)),
            ("memory_load", ctypes.c_int, (handle, number, octets, number)),
            ("memory_dump", ctypes.c_int, (handle, number, octets, number)),
            ("memory_fail", None, (handle, number, word)),
            ("memory_heal", None, (handle,)),
            ("memory_counts", None, (handle, numbers)),
        ]
    if writes:
        functions.append(("memory_fail_write", None, (handle, number, word)))
    for name, result, arguments in functions:
        function = getattr(library, f"firstspike_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class VerilatedTransport(Transport):
    """Transport of the driver to a simulated core.

    Parameters
    ----------
    params : CoreParams
        The core. It is built when it is first asked for, which takes up to a few minutes.
    trace : str or path, optional
        Write a waveform (FST) of the whole run to this file.
    memory : MemoryModel or str, optional
        Timing of external memory, where the core has such, also as :meth:`MemoryModel.parse` takes
        it; a beat in every cycle if not given.

    Attributes
    ----------
    cycles : int
        Clock cycles simulated so far.
    build_seconds : float
        Time that generating and building took.

    Raises
    ------
    UserError
        If a tool that the build needs is missing.
    """

    def __init__(
        self,
        params: CoreParams,
        *,
        trace: str | os.PathLike | None = None,
        memory: MemoryModel | str | None = None,
    ):
        if memory is not None and not params.external:
            raise ValueError("this core has its memory on chip; leave the memory model out")
        if isinstance(memory, str):
            memory = MemoryModel.parse(memory)
        started = time.monotonic()
        verilog = _verilog(params.config)
        external, writes = params.external, bool(params.vector_words)
        library = build(verilog, TOP, trace=trace is not None, memory=external, writes=writes)
        self._library = _load(library, memory=external, writes=writes)
        self.build_seconds = time.monotonic() - started
        path = os.fsencode(trace) if trace is not None else None
        self._handle = self._library.firstspike_open(path)
        self._external, self._writes = external, writes
        if external:
            size = params.memory_beats * params.beat_bits // 8
            packed = (memory or MemoryModel()).pack(size=size, beat=params.axi_data_width // 8)
            self._library.firstspike_memory_open(self._handle, packed)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.firstspike_cycles(self._open())

    def write_window(self, address: int, values: np.ndarray) -> None:
        """Write all values to the same address, in order.

        Parameters
        ----------
        address : int
            Byte address of a data window.
        values : ndarray of uint32
            What to write.

        Raises
        ------
        BusError
            If the core refuses a value, or does not answer; the values before it are written.
        """
        values = np.ascontiguousarray(values, np.uint32).ravel()
        response = self._library.firstspike_write(self._open(), address, values, len(values))
        self._judge(response, "write to", address)

    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read the same address ``count`` times; returns uint32 (count,).

        Raises
        ------
        BusError
            If the core refuses, or does not answer.
        """
        values = np.zeros(count, np.uint32)
        response = self._library.firstspike_read(self._open(), address, values, count)
        self._judge(response, "read of", address)
        return values

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Read a register until ``register & mask == value``.

        Raises
        ------
        BusTimeoutError
            If that is not so after ``max_cycles`` clock cycles.
        """
        response = self._library.firstspike_wait(self._open(), address, mask, value, max_cycles)
        if response == _NO_ANSWER:
            raise BusTimeoutError(
                f"The core's register 0x{address:02x} did not become 0x{value:x} (mask "
                f"0x{mask:x}) within {max_cycles} cycles; reset the core or allow more."
            )
        self._judge(response, "read of", address)

    def tick(self, count: int) -> None:
        """Let ``count`` clock cycles pass."""
        self._library.firstspike_tick(self._open(), count)

    def load(self, address: int, octets: np.ndarray) -> None:
        """Put bytes into external memory at a byte address, in no time.

        Raises
        ------
        UserError
            If the core has no external memory, or it ends before.
        """
        octets = np.ascontiguousarray(octets).view(np.uint8).ravel()
        done = self._memory().firstspike_memory_load(self._open(), address, octets, len(octets))
        self._judge_memory(done, address, len(octets))

    def dump(self, address: int, count: int) -> np.ndarray:
        """Bytes of external memory, uint8 (count,); errors as :meth:`load`."""
        octets = np.zeros(count, np.uint8)
        done = self._memory().firstspike_memory_dump(self._open(), address, octets, count)
        self._judge_memory(done, address, count)
        return octets

    def fail(self, beats: int, response: int) -> None:
        """Answer the beat after ``beats`` further ones with an AXI response, for tests."""
        self._memory().firstspike_memory_fail(self._open(), beats, response)

    def fail_write(self, count: int, response: int) -> None:
        """Answer the write after ``count`` further ones with an AXI response, for tests.

        Raises
        ------
        UserError
            If the core does not write.
        """
        if not self._writes:
            raise UserError("This core never writes to memory; give it vector_words.")
        self._memory().firstspike_memory_fail_write(self._open(), count, response)

    def heal(self) -> None:
        """Forget what the two above asked for and has not struck yet."""
        self._memory().firstspike_memory_heal(self._open())

    def memory_counts(self) -> MemoryCounts:
        """Give what external memory counted."""
        names = [field.name for field in dataclasses.fields(MemoryCounts)]
        counts = np.zeros(len(names), np.uint64)
        self._memory().firstspike_memory_counts(self._open(), counts)
        return MemoryCounts(**dict(zip(names, counts.tolist(), strict=True)))

    def close(self) -> None:
        """End the simulation and finish its waveform; may be called again."""
        if self._handle is not None:
            self._library.firstspike_close(self._handle)
            self._handle = None

    def _memory(self) -> ctypes.CDLL:
        if not self._external:
            raise UserError("This core's memory is on chip; write it through memory_data.")
        return self._library

    @staticmethod
    def _judge_memory(done: int, address: int, count: int) -> None:
        if done != _OKAY:
            raise UserError(f"External memory has no {count} bytes at address 0x{address:x}.")

    def _open(self) -> int:
        if self._handle is None:
            raise UserError("This simulation is closed; open another VerilatedTransport.")
        return self._handle

    @staticmethod
    def _judge(response: int, what: str, address: int) -> None:
        if response == _NO_ANSWER:
            raise BusTimeoutError(f"The core did not answer a {what} address 0x{address:02x}.")
        if response != _OKAY:
            raise BusError(f"The core refused a {what} address 0x{address:02x}.")
