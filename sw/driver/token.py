"""Whole tokens on a core with vector memory: an id goes in, the largest logits come out."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from hw.spec.registers import COUNTERS, REGISTERS
from sw.compile.program import DeviceProgram
from sw.driver.programs import ProgramDevice
from sw.driver.token_check import check_tokens
from sw.driver.transport import Transport
from sw.errors import UserError
from sw.golden.program import Best


class TokenDevice(ProgramDevice):
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
        super().__init__(
            transport, params, configuration=program.configuration, context=program.context
        )
        self.program = program
        self._running: Sequence[Instruction] = program.instructions
        self.longest = sum(map(self._longest_instruction, program.instructions))
        self._longest_prefill = 0
        if program.prefill:
            rest = program.prefill.rest.instructions
            self._longest_prefill = sum(map(self._longest_instruction, rest))
        self.length = 0
        self.load()

    def load(self) -> None:
        """Put model and program into the core's memory, and forget all tokens."""
        self.transport.load(0, self.program.image)
        self._write("program", self.program.address)
        self.length = 0

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

    def _read_best(self) -> list[Best]:
        count = self.params.best
        self._write("best_address", 0)
        words = self.transport.read_window(REGISTERS["best_data"].address, 2 * count)
        logits = words.astype("<u4").view("<i4")
        return [Best(int(words[2 * i]), int(logits[2 * i + 1])) for i in range(count)]
