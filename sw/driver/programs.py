"""Programs of a core with vector memory, whatever they make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from hw.spec.registers import REGISTERS, WAITING, Error
from sw.compile.program import PlacedProgram
from sw.driver.core import SLOWEST_MEMORY, Core
from sw.driver.result import DeviceError
from sw.driver.transport import Transport
from sw.errors import UserError

#: Cycles in which any memory that works has answered what it was asked for.
_LONGEST_RESET = 100_000


class ProgramDevice(Core):
    """A core that runs programs.

    Parameters
    ----------
    transport : Transport
        How to reach the core and its memory.
    params : CoreParams
        The configuration that the core is expected to have.
    configuration : str
        Hexadecimal hash of that which the programs were made for.
    context : int
        Most tokens.

    Attributes
    ----------
    longest : int
        Clock cycles after which a program is given up, unless another number is known.
    counters : dict of str to int
        Every counter of ``hw/spec/registers.py`` for what was made last, over the matrices of
        weights.
    cycles : int
        Clock cycles of it.

    Raises
    ------
    UserError
        If the core is not the one that is expected, or the program was made for another.
    """

    #: What the programs make.
    product = "token"

    def __init__(
        self, transport: Transport, params: CoreParams, *, configuration: str, context: int
    ):
        super().__init__(transport, params)
        if configuration != f"{params.hash:016x}":
            raise UserError(
                f"the program was compiled for configuration {configuration}, the core "
                f"has {params.hash:016x}; compile the model for this core"
            )
        self._context, self.longest = context, 0
        self._running: Sequence[Instruction] = ()
        self.counters: dict[str, int] = {}
        self.cycles = 0

    def stop_before(self, program: PlacedProgram, number: int | None) -> None:
        """Let a program end before an instruction, to look into it; None lets it run whole."""
        octets = [instruction.encode() for instruction in program.instructions]
        if number is not None:
            octets[number] = Instruction(Opcode.END).encode()
        self.transport.load(program.address, np.frombuffer(b"".join(octets), np.uint8))

    def read_vector(self, first: int = 0, count: int | None = None) -> np.ndarray:
        """Read words of vector memory as the last program left it, int64; all by default."""
        self._write("vector_address", first)
        if count is None:
            count = self.params.vector_words - first
        words = self.transport.read_window(REGISTERS["vector_data"].address, count)
        return words.astype("<u4").view("<i4").astype(np.int64)

    def write_vector(self, words: np.ndarray) -> None:
        """Write vector memory from address 0 on; words are signed, of 24 bits."""
        self._write("vector_address", 0)
        octets = words.astype("<i4").view("<u4").astype(np.uint32)
        self.transport.write_window(REGISTERS["vector_data"].address, octets)

    def _run(
        self, address: int, instructions: Sequence[Instruction], *, longest: int | None = None
    ) -> None:
        """Run the program at a byte address; add up what it counts."""
        self._running, longest = instructions, longest or self.longest
        self._write("program", address)
        try:
            state = self._command("run", longest, meanwhile=self._meanwhile)
        except TimeoutError:
            raise DeviceError(self._explain_hang(longest)) from None
        if state["error"] or not state["done"]:
            raise DeviceError(self._explain(Error(state["error"])))
        for name, count in self._read_counters().items():
            self.counters[name] += count
        self.cycles += self._read("token_cycles")

    def _meanwhile(self) -> None:
        """Do what may be done while a program runs: nothing here."""

    def reset(self) -> None:
        """Stop what the core does; it keeps ``length`` tokens in its caches, and can run others.

        Raises
        ------
        DeviceError
            If device memory still owes an answer, without which the core cannot be idle.
        """
        try:
            self._command("reset", _LONGEST_RESET)
        except TimeoutError:
            raise DeviceError(
                f"the core does not become idle: it waits for {self._waiting()}; device memory "
                "does not answer, reset both"
            ) from None

    def _explain(self, error: Error) -> str:
        if error == Error.NONE:
            return f"the core was reset before the {self.product} was done; make it again"
        return f"the core stopped at {self._reached()}: {error.name.lower()} (code {error.value})"

    def _explain_hang(self, longest: int) -> str:
        return (
            f"the core has not made a {self.product} in {longest} cycles: at {self._reached()} it "
            f"waits for {self._waiting()}; reset it, and look whether device memory answers"
        )

    def _reached(self) -> str:
        number, instructions = self._read("instruction"), self._running
        known = number < len(instructions)
        opcode = instructions[number].opcode.name if known else "beyond the program"
        return f"instruction {number} ({opcode})"

    def _waiting(self) -> str:
        units = REGISTERS["waiting"].unpack(self._read("waiting"))
        return ", ".join(WAITING[name] for name, waits in units.items() if waits) or "nothing"

    def _longest_instruction(self, instruction: Instruction) -> int:
        """Bound the cycles of an instruction at the last position."""
        context = self._context
        count = context if instruction["count_by_position"] else instruction["count"]
        cycles = (4096 + 8 * count) * SLOWEST_MEMORY
        if instruction.opcode == Opcode.MATVEC:
            inputs = context if instruction["inputs_by_position"] else instruction["inputs"]
            by_position = (context >> instruction["shift"]) + 1
            tiles = by_position if instruction["tiles_by_position"] else instruction["tiles"]
            cycles += self._longest_product(inputs, tiles) * instruction["vectors"]
        return cycles
