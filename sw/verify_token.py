"""Whole tokens of golden model and hardware side by side, and where they part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from hw.spec.program import Instruction
from hw.spec.registers import COUNTERS
from sw.compile.program import PlacedProgram
from sw.driver.decoder import TokenDecoder, batches
from sw.driver.token import TokenDevice
from sw.golden.decoder import GoldenModel
from sw.golden.program import Interpreter
from sw.verify import MEASURED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where in a token the hardware parts from the golden model.

    Attributes
    ----------
    instruction, opcode : int, str
        The first instruction after which vector memory differs, of the program that makes the
        token, or the last one that makes several at once.
    word : int
        Address in vector memory of the first word that differs then.
    expected, got : int
        Value of the golden model and of the hardware.
    """

    instruction: int
    opcode: str
    word: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"after instruction {self.instruction} ({self.opcode}) word {self.word} of vector "
            f"memory is {self.got}, not {self.expected}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenDifference:
    """The first token of the hardware that departs from the golden model.

    Attributes
    ----------
    token : int
        Position in the text, prompt included; of several that are made at once, the last one's.
    quantity : str
        ``"logit of"`` a token id, ``"id of"`` one of the largest logits, or the name of a counter.
    expected, got : int
        Value of the golden model and of the hardware.
    place : Place or None
        Where they part; None if vector memory never differs.
    """

    token: int
    quantity: str
    expected: int
    got: int
    place: Place | None

    def __str__(self) -> str:
        place = f"; {self.place}" if self.place else ""
        return (
            f"rtl differs from golden first at token {self.token}: {self.quantity} expected "
            f"{self.expected}, got {self.got}{place}"
        )


class TokenMismatchError(Exception):
    """Raised at the first difference; ``difference`` is where and what."""

    def __init__(self, difference: TokenDifference):
        super().__init__(str(difference))
        self.difference = difference


class ComparingDecoder:
    """Makes every token on the device and in the golden model.

    Parameters
    ----------
    golden : GoldenModel
        Reference; must count the memory reads of the device's lanes, with as large a batch.
    decoder : TokenDecoder
        What is checked.

    Attributes
    ----------
    batches : list of sequence of int
        What was read so far, as it was made at once.
    batch : int
        Tokens that the device makes at once where many come.
    compared : int
        Logits and counters compared so far.
    """

    def __init__(self, golden: GoldenModel, decoder: TokenDecoder):
        self.golden, self.decoder = golden, decoder
        self.batches: list[Sequence[int]] = []
        self.batch = decoder.batch
        self.compared = 0

    @property
    def tokens(self) -> list[int]:
        """What was read so far."""
        return [token for batch in self.batches for token in batch]

    def step(self, token: int) -> Tensor:
        """Append one token on both; as :meth:`prefill`."""
        return self.prefill([token])[-1]

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        """Append tokens on both; return the golden logits behind each batch.

        Raises
        ------
        TokenMismatchError
            If one of the largest logits, or a counter, differs.
        """
        return torch.stack([self._append(batch) for batch in batches(tokens, self.batch)])

    def _append(self, batch: Sequence[int]) -> Tensor:
        counted = dict(self.golden.counters)
        logits = self.golden.prefill(batch, last_only=True)[-1]
        device = self.decoder.device
        self.batches.append(batch)
        self.decoder.prefill(batch)
        order = torch.argsort(-logits.long(), stable=True)[: device.params.best].tolist()
        for rank, (id, got) in enumerate(zip(order, self.decoder.best, strict=False)):
            if id != got.id:
                self._fail(f"id of logit number {rank}", id, got.id)
            if int(logits[id]) != got.logit:
                self._fail(f"logit of {id}", int(logits[id]), got.logit)
        for name in COUNTERS:
            total = self.golden.counters.get(name)
            if total is not None and name not in MEASURED:
                wanted = total - (counted[name] or 0)
                if wanted != device.counters[name]:
                    self._fail(name, wanted, device.counters[name])
                self.compared += 1
        self.compared += len(order)
        return logits

    def _fail(self, quantity: str, expected: int, got: int) -> NoReturn:
        difference = TokenDifference(
            token=len(self.tokens) - 1,
            quantity=quantity,
            expected=expected,
            got=got,
            place=locate(self.decoder.device, self.batches),
        )
        raise TokenMismatchError(difference)


def locate(device: TokenDevice, made: Sequence[Sequence[int]]) -> Place | None:
    """Find the first instruction of the last program after which vector memory differs.

    Parameters
    ----------
    device : TokenDevice
        What differs.
    made : sequence of sequence of int
        Tokens that were made at once, in their order. They are made anew on both sides; then the
        last program is stopped earlier and earlier, by bisection, as what is wrong once stays
        wrong.

    Returns
    -------
    Place or None
        None if nothing differs.
    """
    program, params = device.program, device.params
    *before, last = made
    device.load()
    device.write_vector(np.zeros(params.vector_words, np.int64))
    interpreter = Interpreter(params, program.memory(params))
    position = 0
    for batch in before:
        _make(device, interpreter, batch, position)
        position += len(batch)
    searched = _program_of(device, last)

    def after(count: int) -> tuple[np.ndarray, np.ndarray]:
        """Vector memory of both sides after so many instructions."""
        device.stop_before(searched, count)
        _make(device, interpreter, last, position, until=count)
        return interpreter.words.numpy(), device.read_vector()

    try:
        return search(searched.instructions, after)
    finally:
        device.stop_before(searched, None)


def search(
    instructions: Sequence[Instruction], after: Callable[[int], tuple[np.ndarray, np.ndarray]]
) -> Place | None:
    """Find by bisection the first instruction after which vector memory differs.

    Parameters
    ----------
    instructions : sequence of Instruction
        A program, END included.
    after : callable
        Returns the vector memory of the golden model and of the hardware after so many of them.
    """
    good, bad = 0, len(instructions) - 1
    expected, got = after(bad)
    if (expected == got).all():
        return None
    while bad - good > 1:
        middle = (good + bad) // 2
        expected, got = after(middle)
        good, bad = (middle, bad) if (expected == got).all() else (good, middle)
    expected, got = after(bad)
    word = int(np.flatnonzero(expected != got)[0])
    return Place(
        instruction=bad - 1,
        opcode=instructions[bad - 1].opcode.name,
        word=word,
        expected=int(expected[word]),
        got=int(got[word]),
    )


def _program_of(device: TokenDevice, batch: Sequence[int]) -> PlacedProgram:
    """Return the last program that makes so many tokens."""
    program = device.program
    return program.prefill.rest if program.prefill and len(batch) > 1 else program.single


def _make(
    device: TokenDevice,
    interpreter: Interpreter,
    batch: Sequence[int],
    position: int,
    *,
    until: int | None = None,
) -> None:
    """Make a batch on both sides."""
    prefill = device.program.prefill
    if prefill and len(batch) > 1:
        device.prefill(batch, position)
        for token, embedding in zip(batch, prefill.embeddings, strict=True):
            interpreter.run(embedding.address, token=token, position=position)
    else:
        device.step(batch[0], position)
    address = _program_of(device, batch).address
    interpreter.run(address, token=batch[-1], position=position, until=until)
