"""`firstspike verify` of encoders: sentences on both sides."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.progress import track

from hw.spec.params import CoreParams
from sw.convert.encoder import ConvertedEncoder
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import golden_encoder, open_device, open_sentences
from sw.verify import ComparingLinear, MismatchError
from sw.verify_encoder import ComparingEncoder, SentenceMismatchError


def read_sentences(
    model: ConvertedEncoder, prompt: str | None, text: str | None, tokens: int
) -> list[list[int]]:
    """Return the ids of every line of a prompt, or of the first lines of a text.

    Of a text so many lines are taken as have ``tokens`` together, or more.

    Raises
    ------
    UserError
        If there is no line with text.
    """
    tokenizer, context = Tokenizer.from_spec(model.tokenizer_spec), model.config.context
    source = prompt if text is None else resolve_text(text)
    lines = (line for line in (source or "She was here.").splitlines() if line.strip())
    sentences: list[list[int]] = []
    for line in lines:
        if text is not None and sum(map(len, sentences)) >= tokens:
            break
        ids = tokenizer.encode(line)
        if len(ids) > context:
            raise UserError(
                f"a line has {len(ids)} tokens, the model's context is {context}: split it"
            )
        sentences.append(ids)
    if not sentences:
        raise UserError("wanted at least one line of text, got none: give --prompt or --text")
    return sentences


def verify_sentences(
    model: ConvertedEncoder,
    sentences: Sequence[Sequence[int]],
    *,
    params: CoreParams,
    config: str,
    table: str,
    memory: str | None,
    vector: str,
) -> dict[str, Any]:
    """Encode sentences on both sides; exit with 1 at the first difference.

    Parameters
    ----------
    model : ConvertedEncoder
        Model to run.
    sentences : sequence of sequence of int
        Token ids.
    params, config, table, memory
        Core, name of its configuration, code table, and timing of external memory.
    vector : str
        ``"device"``: whole sentences; ``"host"``: only matrices on the device.

    Returns
    -------
    dict
        What was compared, ready for JSON.
    """
    verify = _on_device if vector == "device" else _matrices
    started = time.monotonic()
    try:
        record = verify(model, sentences, params=params, config=config, table=table, memory=memory)
    except (SentenceMismatchError, MismatchError) as error:
        print(error)
        sys.exit(1)
    return record | {
        "vector": vector,
        "sentences": len(sentences),
        "tokens": sum(map(len, sentences)),
        "mismatches": 0,
        "wall_seconds": time.monotonic() - started,
    }


def _on_device(
    model: ConvertedEncoder, sentences, *, params, config, table, memory
) -> dict[str, Any]:
    longest = max(map(len, sentences))
    core = {"params": params, "config": config, "table": table}
    with open_sentences(model, memory=memory, context=longest, **core) as (device, _):
        if longest > device.program.context:
            raise UserError(
                f"a sentence has {longest} tokens, configuration {config} holds "
                f"{device.program.context}; shorten it or choose more vector_words"
            )
        golden = golden_encoder(model, table=table, params=params, batch=params.batch)
        comparing, cycles = ComparingEncoder(golden, device), 0
        for sentence in track(sentences, description="verifying", transient=True):
            comparing.encode(sentence)
            cycles += device.cycles
    return {"compared": comparing.compared, "cycles": cycles, "totals": golden.counters}


def _matrices(
    model: ConvertedEncoder, sentences, *, params, config, table, memory
) -> dict[str, Any]:
    core = {"params": params, "config": config, "table": table}
    with open_device(model, memory=memory, **core) as (linear, _):
        golden = golden_encoder(model, table=table, params=params)
        comparing = ComparingLinear(golden.golden, linear)
        golden.linear = comparing
        for sentence in track(sentences, description="verifying", transient=True):
            golden.encode(sentence)
    cycles = sum(int(counters["cycles"]) for counters in comparing.totals.values())
    return {
        "compared": comparing.compared,
        "multiplications": comparing.calls,
        "cycles": cycles,
        "totals": golden.golden.counters,
    }


def report_sentences(record: dict, screen) -> None:
    """Say what was compared, and how long it took."""
    what = "made by the device" if record["vector"] == "device" else "multiplied on the device"
    tokens = record["tokens"]
    print(
        f"{record['cycles'] / tokens:,.0f} cycles a token; "
        f"{record['wall_seconds'] / tokens:.1f} s a token",
        file=screen,
    )
    print(
        f"equal to the golden model: {record['sentences']} sentences, {tokens} tokens {what}, "
        f"{record['compared']} numbers and counters, 0 mismatches",
        file=screen,
    )
