"""Whole tokens on a core with vector memory: an id goes in, the largest logits come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from hw.spec.registers import COUNTERS, REGISTERS, WAITING, Error
from sw.compile.program import DeviceProgram, PlacedProgram
from sw.driver.core import SLOWEST_MEMORY, Core
from sw.driver.result import DeviceError
from sw.driver.token_check import check_tokens
from sw.driver.transport import Transport
from sw.errors import UserError
from sw.golden.program import Best

#: Cycles in which any memory that works has answered what it was asked for.
_LONGEST_RESET = 100_000


class TokenDevice(Core):
    """A core, and the model whose tokens it makes.

    Parameters
    ----------
    transport : Transport
        How to reach the core and its memory.
    params : CoreParams
        The configuration that the core is expected to have.
    program : DeviceProgram
        Model, caches and program; they are loaded at once.

    Attributes
    ----------
    program : DeviceProgram
        As given.
    length : int
        Tokens in the caches.
    longest : int
        Clock cycles after which a token is given up.
    counters : dict of str to int
        Every counter of ``hw/spec/registers.py`` for the last token, or the last ones that were
        made at once, over the matrices of weights.
    cycles : int
        Clock cycles of these.

    Raises
    ------
    UserError
        If the core is not the one that is expected, or the program was made for another.
    """

    def __init__(self, transport: Transport, params: CoreParams, program: DeviceProgram):
        super().__init__(transport, params)
        if program.configuration != f"{params.hash:016x}":
            raise UserError(
                f"the program was compiled for configuration {program.configuration}, the core "
                f"has {params.hash:016x}; compile the model for this core"
            )
        self.program = program
        self._running: Sequence[Instruction] = program.instructions
        self.longest = sum(map(self._longest_instruction, program.instructions))
        self._longest_prefill = 0
        if program.prefill:
            rest = program.prefill.rest.instructions
            self._longest_prefill = sum(map(self._longest_instruction, rest))
        self.length = 0
        self.counters: dict[str, int] = {}
        self.cycles = 0
        self.load()

    def load(self) -> None:
        """Put model and program into the core's memory, and forget all tokens."""
        self.transport.load(0, self.program.image)
        self._write("program", self.program.address)
        self.length = 0

    def stop_before(self, program: PlacedProgram, number: int | None) -> None:
        """Let a program end before an instruction, to look into it; None lets it run whole."""
        octets = [instruction.encode() for instruction in program.instructions]
        if number is not None:
            octets[number] = Instruction(Opcode.END).encode()
        self.transport.load(program.address, np.frombuffer(b"".join(octets), np.uint8))

    def read_vector(self) -> np.ndarray:
        """Read vector memory as the last token left it, int64, shape (vector_words,)."""
        self._write("vector_address", 0)
        address, count = REGISTERS["vector_data"].address, self.params.vector_words
        words = self.transport.read_window(address, count)
        return words.astype("<u4").view("<i4").astype(np.int64)

    def write_vector(self, words: np.ndarray) -> None:
        """Write vector memory from address 0 on; words are signed, of 24 bits."""
        self._write("vector_address", 0)
        octets = words.astype("<i4").view("<u4").astype(np.uint32)
        self.transport.write_window(REGISTERS["vector_data"].address, octets)

    def step(self, token: int, position: int) -> list[Best]:
        """Make one token.

        Parameters
        ----------
        token : int
            Id in the vocabulary.
        position : int
            Where it stands, counted from 0; at most ``length``. The caches forget what is behind.

        Returns
        -------
        list of Best
            ``params.best`` largest logits, the largest first; lower ids first among equals.

        Raises
        ------
        UserError
            If there is no such token, or it cannot stand there.
        DeviceError
            If the core stops the program, or does not end; then ``reset`` it.
        """
        self._begin([token], position)
        self._write("token", token)
        self._make_token()
        self.length = position + 1
        return self._read_best()

    def prefill(self, tokens: Sequence[int], position: int) -> list[Best]:
        """Make ``program.batch`` tokens at once, of which each row of a matrix is read once.

        Parameters
        ----------
        tokens : sequence of int
            Ids in the vocabulary.
        position : int
            Where the first one stands; as of :meth:`step`.

        Returns
        -------
        list of Best
            Behind the last token; as of :meth:`step`.

        Raises
        ------
        UserError, DeviceError
            As :meth:`step`, or if there are not so many tokens.
        """
        prefill = self.program.prefill
        if prefill is None or len(tokens) != prefill.tokens:
            raise UserError(
                f"the core makes {self.program.batch} tokens at once, not {len(tokens)}: make "
                "them one by one"
            )
        self._begin(tokens, position)
        for token, embedding in zip(tokens, prefill.embeddings, strict=True):
            self._write("token", token)
            self._run(embedding.address, embedding.instructions)
        self._run(prefill.rest.address, prefill.rest.instructions, longest=self._longest_prefill)
        self.length = position + len(tokens)
        return self._read_best()

    def _begin(self, tokens: Sequence[int], position: int) -> None:
        """Check tokens and position; nothing is counted so far."""
        check_tokens(self.program, tokens, position=position, length=self.length)
        self._write("position", position)
        self.length = position  # until the tokens are in the caches
        self.counters, self.cycles = dict.fromkeys(COUNTERS, 0), 0

    def _make_token(self) -> None:
        """Run all programs of a token."""
        self._run(self.program.address, self.program.instructions)

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

    def _read_best(self) -> list[Best]:
        count = self.params.best
        self._write("best_address", 0)
        words = self.transport.read_window(REGISTERS["best_data"].address, 2 * count)
        logits = words.astype("<u4").view("<i4")
        return [Best(int(words[2 * i]), int(logits[2 * i + 1])) for i in range(count)]

    def _explain(self, error: Error) -> str:
        if error == Error.NONE:
            return "the core was reset before the token was done; make it again"
        return f"the core stopped at {self._reached()}: {error.name.lower()} (code {error.value})"

    def _explain_hang(self, longest: int) -> str:
        return (
            f"the core has not made a token in {longest} cycles: at {self._reached()} it "
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
        context = self.program.context
        count = context if instruction["count_by_position"] else instruction["count"]
        cycles = (4096 + 8 * count) * SLOWEST_MEMORY
        if instruction.opcode == Opcode.MATVEC:
            inputs = context if instruction["inputs_by_position"] else instruction["inputs"]
            by_position = (context >> instruction["shift"]) + 1
            tiles = by_position if instruction["tiles_by_position"] else instruction["tiles"]
            cycles += self._longest_product(inputs, tiles) * instruction["vectors"]
        return cycles
