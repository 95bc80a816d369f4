"""`firstspike plan`: cycles and bytes of a token on a core that need not exist."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from sw.code_tables import check_table
from sw.commands import options
from sw.compile.program import compile_program
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_memory, open_model, open_params
from sw.plan.dense import dense_bytes
from sw.plan.report import Report
from sw.plan.sequencer import token_cost
from sw.plan.trace import trace_token

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
    position: Annotated[int, typer.Option(help="Position of the token, counted from 0.")] = 32,
    mhz: Annotated[float, typer.Option(help="Clock of the core.")] = 100.0,
    text: Annotated[
        str | None, typer.Option(help="File, or novels/NAME; a built-in text if absent.")
    ] = None,
    integrator: options.Integrator = None,
    code: options.Code = None,
    json: options.Json = None,
) -> None:
    """Predict what a token costs; the golden model tells what it does, nothing is simulated."""
    if position < 0:
        raise UserError(f"--position must be 0 or more, not {position}")
    if not mhz > 0:
        raise UserError(f"--mhz must be above 0, not {mhz:g}")
    timing, params = open_memory(memory), open_params(config, integrator)
    converted = open_model(model)
    table = check_table(code, converted.table)
    program = compile_program(converted, params, name=config, table=table)
    if position >= program.context:
        raise UserError(
            f"--position must be 0..{program.context - 1}, as model and core take "
            f"{program.context} tokens, not {position}"
        )
    words = Tokenizer.from_spec(converted.tokenizer_spec).encode(
        resolve_text(text) if text else TEXT
    )
    if not words:
        raise UserError(f"--text {text} is empty")
    tokens = list(itertools.islice(itertools.cycle(words), position + 1))
    console = Console(file=options.to_screen(json))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("running the golden model", total=len(tokens))
        steps = trace_token(
            converted, program, params, tokens, report=lambda _: progress.advance(task)
        )
    cost = token_cost(
        steps, params, timing, token=tokens[-1], position=position, program=program.address
    )
    report = Report(
        model=converted.name,
        configuration=config,
        memory=memory,
        position=position,
        mhz=mhz,
        cost=cost,
        dense=dense_bytes(converted, position=position),
        bytes_per_cycle=params.axi_data_width / 8 / timing.beat_interval,
    )
    console.print(report.table())
    for line in report.lines():
        console.print(line, soft_wrap=True)
    options.write_json(json, report.content())
