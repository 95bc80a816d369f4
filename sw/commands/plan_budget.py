"""`firstspike convert --budget`: plans quantizers and shows the frontier that it walked along."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hw.spec.codes import TABLES
from sw.convert.container import ConvertedModel
from sw.convert.planner import Planner, check_objective
from sw.convert.refine import refine_model
from sw.convert.sensitivity import observe
from sw.convert.walk import Point, Walk, best_table, walk
from sw.energy.technology import load_technology
from sw.errors import UserError
from sw.load.checkpoint import Checkpoint
from sw.load.fetch import resolve_text

#: Tables that a planner tries, unless one is named: those that hold a 4-bit code.
CANDIDATES = ("companded", "signed16", "signed8", "fp4", "mttfs")


def plan(
    checkpoint: Checkpoint,
    model: ConvertedModel,
    *,
    text: str,
    start: int,
    tokens: int,
    budget: float,
    silent: float | None,
    objective: str,
    largest_integer: float,
    table: str | None,
    single: bool,
    technology: str = "22nm",
    console: Console,
) -> tuple[ConvertedModel, dict[str, Any]]:
    """Plan, print the frontier, and return the model and what JSON holds.

    The first ``tokens`` of the text are observed, twice as many after them verify.
    """
    check_objective(objective)
    characters = resolve_text(text)[start : start + 48 * tokens]
    ids = torch.tensor(checkpoint.tokenizer.encode(characters)[: 3 * tokens])
    window, third = min(512, model.config.context), len(ids) // 3
    if third < window:
        raise UserError(
            f"{text} has {len(ids)} tokens from character {start}, a plan needs three windows of "
            f"{window}; raise --tokens or give a longer text"
        )
    names = [table] if table else CANDIDATES
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("observing")

        def seen(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        observations = observe(checkpoint, ids[:third], window=window, report=seen)
        progress.add_task("fitting mantissas", total=None)
        model = refine_model(model, checkpoint, observations.moments)
        task = progress.add_task("evaluating options", total=len(names))
        planners = []
        for name in names:
            planners.append(
                Planner(
                    model,
                    observations.tensors,
                    table=name,
                    objective=objective,
                    technology=load_technology(technology),
                    largest_integer=largest_integer,
                )
            )
            progress.advance(task)
        chosen = best_table(planners, budget)
        progress.add_task("measuring", total=None)
        result = walk(
            model, chosen, ids[third:], window=window, budget=budget, silent=silent, single=single
        )
    console.print(_table(result, budget))
    record = {
        "kind": "plan",
        "model": model.name,
        "text": text,
        "from": start,
        "tokens": third,
        "window": window,
        "budget": budget,
        "silent": silent,
        "objective": objective,
        "largest_integer": largest_integer,
        "technology": technology,
        "single": single,
        "table": chosen.table.name,
        "chosen": dataclasses.asdict(_chosen(result)),
        "points": [dataclasses.asdict(point) for point in result.points],
    }
    keys = ("text", "from", "tokens", "budget", "silent", "objective", "largest_integer", "single")
    source = {**model.source, "plan": {key: record[key] for key in keys}}
    return dataclasses.replace(result.model, source=source), record


def _chosen(result: Walk) -> Point:
    return next(point for point in result.points if point.price == result.choice.price)


def _table(result: Walk, budget: float) -> Table:
    chosen = _chosen(result)
    table = Table(
        title=f"code table {chosen.table}, {TABLES[chosen.table].steps} steps",
        caption=f"perplexity relative to the most accurate plan; budget {budget:.2%}; "
        "cost relative to nothing silent",
        box=box.SIMPLE,
        padding=(0, 0, 0, 1),
    )
    table.add_column("")
    for column in ("ppl", "x best", "+-", "predicted", "cost", "silent", "integer", "steps", "KB"):
        table.add_column(column, justify="right", no_wrap=True)
    least = result.points[0].predicted
    for point in sorted(result.points, key=lambda point: point.price):
        table.add_row(
            ">" if point == chosen else "",
            f"{point.perplexity:.3f}",
            f"{point.ratio:.4f}",
            f"{point.difference_stderr:.4f}",
            f"{point.predicted - least:+.4f}",
            f"{point.cost:.4f}",
            f"{point.silent:.2%}",
            f"{point.integer:.2%}",
            f"{point.steps:,.0f}",
            f"{point.bytes / 1000:,.1f}",
        )
    return table
