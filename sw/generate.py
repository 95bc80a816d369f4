"""Text generation on any backend, and the record of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from sw.errors import UserError
from sw.golden.decoder import GoldenModel
from sw.load.tokenizer import Tokenizer
from sw.sample import Sampler

#: Stall counters of the hardware, by cause.
STALLS = {"encoder": "stall_encoder", "scaler": "stall_scaler", "memory": "stall_memory"}


@dataclasses.dataclass(kw_only=True)
class Run:
    """What `generate --json` writes.

    Attributes
    ----------
    tokens, text
        What was generated, the prompt excluded.
    counters : dict
        Totals over prompt and generation; ``cycles`` and ``stalls`` are None without
        hardware.
    config, model, seed, table, backend
        What ran.
    wall_seconds, build_seconds : float
        Time of the run without building the simulator, and of building it.
    """

    tokens: list[int]
    text: str
    counters: dict
    config: str
    model: str
    table: str
    backend: str
    seed: int
    wall_seconds: float
    build_seconds: float

    def as_json(self) -> dict:
        """Plain data for JSON."""
        return dataclasses.asdict(self)


def present(counters: Mapping[str, int | None]) -> dict:
    """Counters as JSON shows them: stalls gathered by cause."""
    shown: dict = {n: c for n, c in counters.items() if n not in STALLS.values()}
    stalls = {cause: counters.get(name) for cause, name in STALLS.items()}
    shown["stalls"] = None if None in stalls.values() else stalls
    return shown


def encode_prompt(
    tokenizer: Tokenizer, prompt: str, *, chat: bool, tokens: int, context: int
) -> list[int]:
    """Token ids of a prompt, checked against the context before anything runs.

    Raises
    ------
    UserError
        If the prompt is empty, or leaves no room for the tokens that are asked for.
    """
    ids = (
        tokenizer.chat([{"role": "user", "content": prompt}]) if chat else tokenizer.encode(prompt)
    )
    if not ids:
        raise UserError("the prompt is empty; give some text with --prompt")
    if len(ids) > context:
        raise UserError(
            f"the prompt has {len(ids)} tokens, the model's context is {context}; shorten it"
        )
    if len(ids) + tokens > context + 1:
        raise UserError(
            f"a prompt of {len(ids)} tokens leaves room for {context + 1 - len(ids)} more in the "
            f"model's context of {context}, not for {tokens}; lower --tokens"
        )
    return ids


def generate(
    golden: GoldenModel,
    prompt: list[int],
    *,
    tokens: int,
    sampler: Sampler,
    stop: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[int]:
    """Yield token ids one by one.

    Parameters
    ----------
    golden : GoldenModel
        The decoder; its ``linear`` decides where weights are multiplied.
    prompt : list of int
        Token ids.
    tokens : int
        How many to generate.
    sampler : Sampler
        Chooses each token.
    stop : int, optional
        Token that ends the generation (it is not yielded).
    progress : callable, optional
        Called with (done, total) for each token of the prompt, which then runs one by one.
    """
    if progress is None:
        logits = golden.prefill(prompt)[-1]
    else:
        for done, token in enumerate(prompt, 1):
            logits = golden.step(token)
            progress(done, len(prompt))
    for remaining in range(tokens, 0, -1):
        token = sampler(logits.numpy())
        if token == stop:
            return
        yield token
        if remaining > 1:
            logits = golden.step(token)
