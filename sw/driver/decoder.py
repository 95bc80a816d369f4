"""A decoder whose tokens a core makes by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES
from hw.spec.program import ATTENTION, Opcode
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
    best : list of Best
        The largest logits of the last token, the largest first.
    """

    def __init__(self, device: TokenDevice):
        self.device, self.position = device, 0
        self.best: list[Best] = []
        program = device.program
        encoded = [
            instruction["inputs"]
            for instruction in program.instructions
            if instruction.opcode == Opcode.MATVEC
            and not instruction["reuse"]
            and instruction["drain"] not in ATTENTION
        ]
        blocks = sum(-(-inputs // BLOCK) for inputs in encoded)
        self._window_steps = blocks * TABLES[program.table].steps
        self.counters = dict.fromkeys([*COUNTERS, "window_steps", "token_cycles"], 0)

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        """Append tokens, one by one; return the logits after each, see :meth:`step`."""
        return torch.stack([self.step(token) for token in tokens])

    def step(self, token: int) -> Tensor:
        """Append one token; return its logits, int32, shape (vocabulary,).

        The device keeps its largest ``params.best`` logits; all others are the least word.
        """
        self.best = self.device.step(token, self.position)
        self.position += 1
        steps = {"window_steps": self._window_steps, "token_cycles": self.device.cycles}
        for name, count in (self.device.counters | steps).items():
            self.counters[name] += count
        logits = torch.full((self.device.program.vocabulary,), NOTHING.logit, dtype=torch.int32)
        for id, logit in self.best:
            if logit != NOTHING.logit:
                logits[id] = logit
        return logits
