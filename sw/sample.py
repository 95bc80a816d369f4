"""Choice of the next token from integer logits."""

from __future__ import annotations

import numpy as np

from sw.errors import UserError
from sw.golden.integers import LOGIT_FRACTION


class Sampler:
    """Greedy choice, or temperature and nucleus sampling with a seed.

    Parameters
    ----------
    temperature : float
        0 for the greedy choice, in which ties go to the lowest id.
    top_p : float
        Share of probability, above 0 and up to 1, that the nucleus holds.
    seed : int
        Seed of the choice; not used by the greedy one.

    Raises
    ------
    UserError
        If a value is out of range.
    """

    def __init__(self, *, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0):
        if temperature < 0:
            raise UserError(f"temperature must be 0 or more, not {temperature}")
        if not 0 < top_p <= 1:
            raise UserError(f"top-p must be above 0 and at most 1, not {top_p}")
        if seed < 0:
            raise UserError(f"seed must be 0 or more, not {seed}")
        self.temperature, self.top_p = temperature, top_p
        self._generator = np.random.default_rng(seed)

    def __call__(self, logits: np.ndarray) -> int:
        """Choose a token id from integer logits, shape (vocabulary,)."""
        if self.temperature == 0:
            return int(np.argmax(logits))
        scaled = logits.astype(np.float64) / 2**LOGIT_FRACTION / self.temperature
        weights = np.exp(scaled - scaled.max())
        order = np.argsort(-weights, kind="stable")
        cumulative = np.cumsum(weights[order]) / weights.sum()
        nucleus = order[: int(np.searchsorted(cumulative, self.top_p)) + 1]
        chosen = weights[nucleus] / weights[nucleus].sum()
        return int(self._generator.choice(nucleus, p=chosen))
