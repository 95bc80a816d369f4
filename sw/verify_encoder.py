"""Sentences of golden model and hardware side by side, and where they part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hw.spec.registers import COUNTERS
from sw.driver.encoder import EncoderDevice
from sw.golden.encoder import Encoding, GoldenEncoder
from sw.golden.program import Interpreter
from sw.verify import MEASURED
from sw.verify_token import Place, search


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceDifference:
    """The first sentence of the hardware that departs from the golden model.

    Attributes
    ----------
    sentence : int
        Its number, from 0.
    quantity : str
        ``"hidden element"``, ``"pooled element"`` or ``"logit"`` with its number, or the name of a
        counter.
    expected, got : int
        Value of the golden model and of the hardware.
    place : Place or None
        Where they part; None if vector memory never differs.
    """

    sentence: int
    quantity: str
    expected: int
    got: int
    place: Place | None

    def __str__(self) -> str:
        place = f"; {self.place}" if self.place else ""
        return (
            f"rtl differs from golden first at sentence {self.sentence}: {self.quantity} expected "
            f"{self.expected}, got {self.got}{place}"
        )


class SentenceMismatchError(Exception):
    """Raised at the first difference; ``difference`` is where and what."""

    def __init__(self, difference: SentenceDifference):
        super().__init__(str(difference))
        self.difference = difference


class ComparingEncoder:
    """Encodes every sentence on the device and in the golden model.

    Parameters
    ----------
    golden : GoldenEncoder
        Reference; must count the memory reads of the device's lanes, with as large a batch.
    device : EncoderDevice
        What is checked.

    Attributes
    ----------
    sentences, tokens, compared : int
        Sentences and tokens so far; words and counters compared.
    """

    def __init__(self, golden: GoldenEncoder, device: EncoderDevice):
        self.golden, self.device = golden, device
        self.sentences = self.tokens = self.compared = 0

    def encode(self, tokens: Sequence[int]) -> Encoding:
        """Encode a sentence on both.

        Raises
        ------
        SentenceMismatchError
            If a word or a counter differs.
        """
        counted = dict(self.golden.counters)
        expected, got = self.golden.encode(tokens), self.device.encode(tokens)
        names = "hidden element", "pooled element", "logit"
        for name, wanted, found in zip(names, expected, got, strict=True):
            wrong = (wanted != found).flatten().nonzero().flatten().tolist()
            if wrong:
                pair = int(wanted.flatten()[wrong[0]]), int(found.flatten()[wrong[0]])
                self._fail(tokens, f"{name} {wrong[0]}", *pair)
            self.compared += wanted.numel()
        for name in COUNTERS:
            total = self.golden.counters.get(name)
            if total is not None and name not in MEASURED:
                count = total - (counted[name] or 0)
                if count != self.device.counters[name]:
                    self._fail(tokens, name, count, self.device.counters[name])
                self.compared += 1
        self.sentences += 1
        self.tokens += len(tokens)
        return expected

    def _fail(self, tokens: Sequence[int], quantity: str, expected: int, got: int) -> None:
        difference = SentenceDifference(
            sentence=self.sentences,
            quantity=quantity,
            expected=expected,
            got=got,
            place=locate(self.device, tokens),
        )
        raise SentenceMismatchError(difference)


def locate(device: EncoderDevice, tokens: Sequence[int]) -> Place | None:
    """Find the first instruction of a sentence's last program after which vector memory differs.

    None if nothing differs.
    """
    program, params = device.program, device.params
    sentence = program.sentence(len(tokens))
    searched = sentence.programs.rest
    memory = program.memory()
    memory.view(np.uint8)[program.address :][: len(sentence.octets)] = sentence.octets
    interpreter = Interpreter(params, memory)

    def after(count: int) -> tuple[np.ndarray, np.ndarray]:
        """Vector memory of both sides after so many instructions, on words that were 0."""
        device.write_vector(np.zeros(params.vector_words, np.int64))
        interpreter.words.zero_()
        device.stop_before(searched, count)
        device.encode(tokens)
        for token, embedding in zip(tokens, sentence.programs.embeddings, strict=True):
            interpreter.run(embedding.address, token=token, position=0)
        interpreter.run(searched.address, token=tokens[-1], position=0, until=count)
        return interpreter.words.numpy(), device.read_vector()

    try:
        return search(searched.instructions, after)
    finally:
        device.stop_before(searched, None)
