"""A decoder whose tokens a core makes by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES
from hw.spec.program import Opcode
from hw.spec.registers import COUNTERS
from sw.driver.token import TokenDevice
from sw.golden.program import NOTHING, Best


class TokenDecoder:
    """Decodes as :class:`sw.golden.decoder.GoldenModel` does, as far as a device tells.

    Parameters
    ----------
    device : TokenDevice
        The core, with a program.

    Attributes
    ----------
    counters : dict of str to int
        Totals of all tokens: those of the device, ``window_steps`` and ``token_cycles``.
    position : int
        Tokens in the cache.
    batch : int
        Tokens that the device makes at once where many come.
    best : list of Best
        The largest logits of the last token, the largest first.
    """

    def __init__(self, device: TokenDevice):
        self.device, self.position = device, 0
        self.batch = device.program.batch
        self.best: list[Best] = []
        self.counters = dict.fromkeys([*COUNTERS, "window_steps", "token_cycles"], 0)

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        """Append tokens, as many at once as the device takes, the rest one by one.

        Returns
        -------
        Tensor
            Logits behind the last token of each batch, see :meth:`step`.
        """
        return torch.stack([self._append(batch) for batch in batches(tokens, self.batch)])

    def step(self, token: int) -> Tensor:
        """Append one token; return its logits, int32, shape (vocabulary,).

        The device keeps its largest ``params.best`` logits; all others are the least word.
        """
        return self._append([token])

    def _append(self, tokens: Sequence[int]) -> Tensor:
        """Append one token or a batch; return the logits behind."""
        device, program = self.device, self.device.program
        if program.prefill and len(tokens) == self.batch:
            self.best = device.prefill(tokens, self.position)
            instructions = program.prefill.rest.instructions
        else:
            self.best = device.step(tokens[0], self.position)
            instructions = program.instructions
        self.position += len(tokens)
        blocks = sum(
            -(-instruction["inputs"] // BLOCK)
            for instruction in instructions
            if instruction.opcode == Opcode.ENCODE and not instruction["uncounted"]
        )
        steps = {"window_steps": blocks * TABLES[program.table].steps}
        for name, count in (device.counters | steps | {"token_cycles": device.cycles}).items():
            self.counters[name] += count
        logits = torch.full((program.vocabulary,), NOTHING.logit, dtype=torch.int32)
        for id, logit in self.best:
            if logit != NOTHING.logit:
                logits[id] = logit
        return logits


def batches(tokens: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Split tokens into whole batches, and what is left into single ones."""
    whole = len(tokens) // size * size
    for start in range(0, whole, size):
        yield tokens[start : start + size]
    for token in tokens[whole:]:
        yield [token]
