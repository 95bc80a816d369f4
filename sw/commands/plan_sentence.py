"""What `firstspike plan` does with an encoder: cycles and bytes of a sentence."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from hw.spec.params import CoreParams
from sw.code_tables import check_table
from sw.commands import options
from sw.compile.encoder_program import EncoderProgram
from sw.convert.encoder import ConvertedEncoder
from sw.errors import UserError
from sw.load.tokenizer import Tokenizer
from sw.opening import open_memory, open_transport
from sw.plan.cost import TokenCost
from sw.plan.measure import measure_sentence
from sw.plan.sentence import sentence_costs
from sw.plan.sentence_report import SentenceReport

#: Tokens of a sentence if neither their number nor a text is given.
TOKENS = 24


def plan_sentence(
    model: ConvertedEncoder,
    params: CoreParams,
    *,
    config: str,
    memory: str,
    mhz: float,
    text: str,
    tokens: int | None,
    code: str | None,
    measured: bool,
    json: Path | None,
) -> None:
    """Predict what a sentence costs; print it, write it.

    Parameters
    ----------
    model : ConvertedEncoder
        Encoder.
    params : CoreParams
        The core, which need not exist.
    config, memory, mhz, code, measured, json
        As of `firstspike plan`.
    text : str
        Text, whose first line is the sentence.
    tokens : int, optional
        Tokens of the sentence: the line is cut, or read again and again.

    Raises
    ------
    UserError
        If the core does not run the model, or not so long a sentence.
    """
    timing = open_memory(memory)
    ids = sentence_of(model, text, tokens)
    table = check_table(code, model.table)
    program = EncoderProgram(model, params, name=config, table=table, context=len(ids))
    if len(ids) > program.context:
        raise UserError(
            f"the sentence has {len(ids)} tokens, model and configuration {config} take "
            f"{program.context}; lower --tokens or choose more vector_words"
        )
    programs = program.sentence(len(ids)).programs
    instructions = sum(len(p.instructions) for p in (*programs.embeddings, programs.rest))
    simulated = None
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("running the golden model", total=instructions)
        costs = sentence_costs(program, params, ids, timing, report=lambda: progress.advance(task))
        if measured:
            transport: Any = open_transport(params, memory=memory)
            counts = transport.memory_counts
            progress.update(task, description="simulating the sentence", total=None)
            with contextlib.closing(transport):
                simulated = measure_sentence(
                    transport, program, params, ids, beats=lambda: counts().beats
                )
    report = SentenceReport(
        model=model.name,
        configuration=config,
        memory=memory,
        tokens=len(ids),
        mhz=mhz,
        cost=TokenCost.total(costs),
        measured=simulated,
    )
    console = Console(file=options.to_screen(json))
    console.print(report.table())
    for line in report.lines():
        console.print(line, soft_wrap=True)
    options.write_json(json, report.content())


def sentence_of(model: ConvertedEncoder, text: str, tokens: int | None) -> list[int]:
    """Return the ids of a text's first line, or so many of them between the first and the last."""
    line = next((line for line in text.splitlines() if line.strip()), None)
    if line is None:
        raise UserError("wanted a line of text, got none: give another --text")
    first, *inner, last = Tokenizer.from_spec(model.tokenizer_spec).encode(line)
    if tokens is None:
        return [first, *inner, last]
    if tokens < 2:
        raise UserError(f"--tokens must be 2 or more, as a sentence has two ends, not {tokens}")
    return [first, *itertools.islice(itertools.cycle(inner), tokens - 2), last]
