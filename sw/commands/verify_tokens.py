"""`firstspike verify` where the device makes whole tokens."""

from __future__ import annotations

import sys
import time

from rich.progress import Progress

from hw.spec.params import CoreParams
from sw.convert.container import ConvertedModel
from sw.driver.decoder import batches
from sw.opening import golden_model, open_tokens
from sw.sample import Sampler
from sw.verify_token import ComparingDecoder, TokenMismatchError


def read_along(golden, ids: list[int], generated: int) -> list[int]:
    """Read tokens with a golden model that compares, then generate; return what is new."""
    sampler = Sampler()
    new: list[int] = []
    with Progress(transient=True) as progress:
        task = progress.add_task("verifying", total=len(ids) + max(generated - 1, 0))
        for batch in batches(ids, golden.batch):
            logits = golden.prefill(batch)[-1]
            progress.advance(task, len(batch))
        while len(new) < generated:
            new.append(sampler(logits.numpy()))
            if len(new) < generated:
                logits = golden.step(new[-1])
                progress.advance(task)
    return new


def verify_tokens(
    model: ConvertedModel,
    ids: list[int],
    generated: int,
    *,
    params: CoreParams,
    config: str,
    table: str,
    memory: str | None,
) -> tuple[dict, list[int]]:
    """Make tokens on both sides; exit with 1 at the first that differs.

    Returns
    -------
    record : dict
        What was compared, and the device's counters, ready for JSON.
    new : list of int
        Generated tokens.
    """
    context = len(ids) + generated
    with open_tokens(
        model, params=params, config=config, table=table, memory=memory, context=context
    ) as (decoder, _):
        golden = golden_model(model, table=table, params=params, batch=decoder.batch)
        comparing = ComparingDecoder(golden, decoder)
        started = time.monotonic()
        try:
            new = read_along(comparing, ids, generated)
        except TokenMismatchError as error:
            print(error)
            sys.exit(1)
        record = {
            "tokens": len(comparing.tokens),
            "compared": comparing.compared,
            "mismatches": 0,
            "wall_seconds": time.monotonic() - started,
            "totals": decoder.counters,
        }
    return record, new


def report_tokens(record: dict, screen) -> None:
    """Say what was compared, and how long tokens took."""
    totals, tokens = record["totals"], record["tokens"]
    print(
        f"{totals['token_cycles'] / tokens:,.0f} cycles a token, {totals['cycles'] / tokens:,.0f} "
        f"of them in matrices; {record['wall_seconds'] / tokens:.1f} s a token",
        file=screen,
    )
    print(
        f"equal to the golden model: {tokens} tokens made by the device, {record['compared']} "
        "largest logits and counters, 0 mismatches",
        file=screen,
    )
