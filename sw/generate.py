"""Text generation on any backend, and the record of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from hw.spec.params import CoreParams
from sw.driver.decoder import TokenDecoder, batches
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
    first_token : dict or None
        Where the device makes whole tokens, the clock cycles to the first of these and the bytes of
        weights that came meanwhile: ``cycles`` and ``bytes_read``.
    config, model, seed, table, backend
        What ran.
    wall_seconds, build_seconds : float
        Time of the run without building the simulator, and of building it.
    """

    tokens: list[int]
    text: str
    counters: dict
    first_token: dict | None
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


def first_token(counters: Mapping[str, int], params: CoreParams) -> dict[str, int]:
    """Tell from the counters of a prompt what its reading cost."""
    beats = counters["beats_read"] + counters["beats_hole"]
    return {"cycles": counters["token_cycles"], "bytes_read": beats * params.beat_bits // 8}


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
    golden: GoldenModel | TokenDecoder,
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
    golden : GoldenModel or TokenDecoder
        The decoder; a golden model's ``linear`` decides where weights are multiplied.
    prompt : list of int
        Token ids.
    tokens : int
        How many to generate.
    sampler : Sampler
        Chooses each token.
    stop : int, optional
        Token that ends the generation (it is not yielded).
    progress : callable, optional
        Called with (done, total) for each batch of the prompt, as the decoder takes them.
    """
    if progress is None:
        logits = golden.prefill(prompt)[-1]
    else:
        done = 0
        for batch in batches(prompt, golden.batch):
            logits = golden.prefill(batch)[-1]
            done += len(batch)
            progress(done, len(prompt))
    for remaining in range(tokens, 0, -1):
        token = sampler(logits.numpy())
        if token == stop:
            return
        yield token
        if remaining > 1:
            logits = golden.step(token)
