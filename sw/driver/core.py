"""A core that answers: its registers, behind any transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from hw.spec import registers
from hw.spec.codes import BLOCK
from hw.spec.formats import VERSION
from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS, counters_of
from sw.driver.transport import Transport
from sw.errors import UserError

#: How many times longer than on chip an instruction may take with external memory.
SLOWEST_MEMORY = 32


class Core:
    """Registers of a core of one configuration.

    Parameters
    ----------
    transport : Transport
        How to reach the core.
    params : CoreParams
        The configuration that the core is expected to have.

    Raises
    ------
    UserError
        If something else answers, or a core of another version or configuration.
    """

    def __init__(self, transport: Transport, params: CoreParams):
        self.transport = transport
        self.params = params
        self.counter_names = tuple(counters_of(crossbar=params.crossbar is not None))
        if (magic := self._read("magic")) != registers.MAGIC:
            raise UserError(
                f"no Firstspike core answers: the first register reads {magic:#010x}, not "
                f"{registers.MAGIC:#010x}; check the address and the bitstream"
            )
        version = REGISTERS["version"].unpack(self._read("version"))
        if f"{version['major']}.{version['minor']}" != VERSION:
            raise UserError(
                f"the core has version {version['major']}.{version['minor']}, this driver "
                f"{VERSION}; build the core again"
            )
        found = self._read("hash_low") | self._read("hash_high") << 32
        if found != params.hash:
            raise UserError(
                f"the core was built for configuration {found:016x}, not {params.hash:016x}; "
                "name its configuration with --config"
            )

    def _write(self, register: str, value: int) -> None:
        self.transport.write(REGISTERS[register].address, value)

    def _read(self, register: str) -> int:
        return self.transport.read(REGISTERS[register].address)

    def _read_counters(self) -> dict[str, int]:
        names = self.counter_names
        words = self.transport.read_all([REGISTERS[name].address for name in names])
        return dict(zip(names, words, strict=True))

    def _count(self, counters: dict[str, int], names: Iterable[str]) -> None:
        """Add some counters of the last instruction."""
        for name in names:
            counters[name] += self._read(name)

    def _write_input(self, x: np.ndarray) -> None:
        self._write("input_address", 0)
        words = x.astype(np.int16).astype(np.uint16).astype(np.uint32)
        self.transport.write_window(REGISTERS["input_data"].address, words)

    def _read_output(self, outputs: int) -> np.ndarray:
        self._write("output_address", 0)
        words = self.transport.read_window(REGISTERS["output_data"].address, 2 * outputs)
        return np.ascontiguousarray(words, "<u4").view("<i8").astype(np.int64)

    def _command(
        self, command: str, longest: int, *, meanwhile: Callable[[], None] | None = None
    ) -> dict[str, int]:
        """Give a command and wait so many cycles at most; return the fields of ``status``.

        What is to be done ``meanwhile`` comes before the wait.
        """
        status = REGISTERS["status"]
        self._write("control", REGISTERS["control"].pack(**{command: 1}))
        if meanwhile:
            meanwhile()
        self.transport.wait(status.address, status.pack(busy=1), 0, longest)
        return self._status()

    def _status(self) -> dict[str, int]:
        return REGISTERS["status"].unpack(self._read("status"))

    def _longest_product(self, inputs: int, tiles: int) -> int:
        """Bound the cycles of a matrix-vector instruction."""
        params = self.params
        groups = tiles * (-(-inputs // BLOCK) + 2)
        cycles = 4096 + 8 * params.max_inputs + groups * (256 + params.lanes) * params.sub_tiles
        return cycles * SLOWEST_MEMORY if params.external else cycles
