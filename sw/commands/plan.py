"""`firstspike plan`: cycles and bytes of a token or a sentence on a core that need not exist."""

from __future__ import annotations

import contextlib
import itertools
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from sw.code_tables import check_table
from sw.commands import options, plan_sentence
from sw.compile.program import compile_program
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import (
    open_converted_encoder,
    open_memory,
    open_model,
    open_params,
    open_transport,
)
from sw.plan.dense import dense_bytes
from sw.plan.measure import measure
from sw.plan.prompt import prompt_cost
from sw.plan.report import Report
from sw.plan.sequencer import run_cost
from sw.plan.trace import trace_tokens

#: Position of the token if none is given.
POSITION = 32

#: Read again and again where no text is named.
TEXT = (
    "She was soon at ease among them, and as they walked up the hill in the evening light she told "
    "her brother everything that had been said, and what she meant to answer. He listened to it "
    "all with great attention, but would not promise to be of the same opinion in the morning. "
)


def command(
    model: options.Model = None,
    config: options.Config = "mac8-token",
    memory: Annotated[
        str,
        typer.Option("--memory", help="Timing: ideal, dram, or e.g. latency=30,granule=64."),
    ] = "ideal",
    position: Annotated[
        int | None, typer.Option(help=f"Position of the token, counted from 0; default {POSITION}.")
    ] = None,
    prompt: Annotated[
        int | None, typer.Option(help="Tokens of a prompt, whose cost is told too.")
    ] = None,
    sentence: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            help="Tokens of an encoder's sentence; those of the text's first line if absent.",
        ),
    ] = None,
    mhz: Annotated[float, typer.Option(help="Clock of the core.")] = 100.0,
    text: Annotated[
        str | None, typer.Option(help="File, or novels/NAME; a built-in text if absent.")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measure", help="Simulate the token, too, and compare.")
    ] = False,
    integrator: options.Integrator = None,
    code: options.Code = None,
    json: options.Json = None,
) -> None:
    """Predict what a token costs, from what the golden model does; of encoders, a sentence."""
    if position is not None and position < 0:
        raise UserError(f"--position must be 0 or more, not {position}")
    if prompt is not None and prompt < 1:
        raise UserError(f"--prompt must be 1 or more, not {prompt}")
    if not mhz > 0:
        raise UserError(f"--mhz must be above 0, not {mhz:g}")
    timing, params = open_memory(memory), open_params(config, integrator)
    if encoder := open_converted_encoder(model):
        for name, given in (("--position", position), ("--prompt", prompt)):
            if given is not None:
                raise UserError(f"{name} is not for encoders; name their length with --tokens")
        plan_sentence.plan_sentence(
            encoder,
            params,
            config=config,
            memory=memory,
            mhz=mhz,
            text=resolve_text(text) if text else TEXT,
            tokens=sentence if sentence or text else plan_sentence.TOKENS,
            code=code,
            measured=measured,
            json=json,
        )
        return
    if sentence is not None:
        raise UserError("--tokens is for encoders; leave it out, or name a place with --position")
    if position is None:
        position = POSITION
    converted = open_model(model)
    table = check_table(code, converted.table)
    program = compile_program(converted, params, name=config, table=table)
    if position >= program.context:
        raise UserError(
            f"--position must be 0..{program.context - 1}, as model and core take "
            f"{program.context} tokens, not {position}"
        )
    if prompt and prompt > program.context:
        raise UserError(
            f"--prompt must be 1..{program.context}, as model and core take {program.context} "
            f"tokens, not {prompt}"
        )
    words = Tokenizer.from_spec(converted.tokenizer_spec).encode(
        resolve_text(text) if text else TEXT
    )
    if not words:
        raise UserError(f"--text {text} is empty")
    tokens = list(itertools.islice(itertools.cycle(words), max(position + 1, prompt or 0)))
    console = Console(file=options.to_screen(json))
    what = converted, program, params
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("running the golden model", total=None)

        def advance(_: int) -> None:
            progress.advance(task)

        before, token = tokens[:position], tokens[position : position + 1]
        (run,) = trace_tokens(*what, before, token, report=advance)
        cost = run_cost(run, params, timing)
        whole = prompt_cost(*what, timing, tokens[:prompt], report=advance) if prompt else None
        simulated = None
        if measured:
            transport: Any = open_transport(params, memory=memory)
            counts = transport.memory_counts
            progress.update(task, description="simulating the token")
            with contextlib.closing(transport):
                simulated = measure(
                    transport, *what, before + token, beats=lambda: counts().beats, report=advance
                )
    report = Report(
        model=converted.name,
        configuration=config,
        memory=memory,
        position=position,
        mhz=mhz,
        cost=cost,
        prompt=whole,
        measured=simulated,
        dense=dense_bytes(converted, position=position),
        bytes_per_cycle=params.axi_data_width / 8 / timing.beat_interval,
    )
    console.print(report.table())
    for line in report.lines():
        console.print(line, soft_wrap=True)
    options.write_json(json, report.content())
