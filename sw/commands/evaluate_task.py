"""What `firstspike eval --task` does: accuracy of an encoder on the rungs of the ladder."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

from sw.code_tables import check_table
from sw.commands import options
from sw.commands.convert_encoder import convert_task_model
from sw.convert.encoder import ConvertedEncoder, load_encoder
from sw.errors import UserError
from sw.evaluate_task import TaskEvaluation, evaluate_task
from sw.load.checkpoint import EncoderCheckpoint
from sw.load.fetch import polarity
from sw.load.tokenizer import Tokenizer
from sw.opening import is_encoder_container, open_encoder
from sw.train.encoder import Labelled
from sw.train.polarity import CLASSES, LONGEST

TASKS = ("polarity",)


def run(
    task: str,
    *,
    model: str | None,
    checkpoint: str | None,
    code: str | None,
    rungs: tuple[str, ...],
    seed: int,
    limit: int | None,
    json: Path | None,
) -> None:
    """Measure on the test split, print accuracy and shares.

    Parameters
    ----------
    task : str
        One of ``TASKS``.
    model, checkpoint, code, rungs, json
        As of `firstspike eval`.
    seed : int
        Chooses the sentences if ``limit`` is given.
    limit : int, optional
        Sentences at most.
    """
    if task not in TASKS:
        raise UserError(f"--task must be one of {', '.join(TASKS)}, not {task!r}")
    if model is None:
        raise UserError(f"--task {task} needs a model that `firstspike train {task}` wrote")
    converted, source = _open(model, checkpoint)
    if converted.config.labels != CLASSES:
        raise UserError(
            f"{model} has {converted.config.labels} classes, {task} has {CLASSES}; make a model "
            f"with `firstspike train {task}`"
        )
    tokenizer = Tokenizer.from_spec(converted.tokenizer_spec)
    sentences = polarity("test")
    if limit is not None:
        count = min(options.positive("--limit", limit), len(sentences))
        sentences = random.Random(seed).sample(sentences, count)
    longest = min(LONGEST, converted.config.context)
    screen = options.to_screen(json)
    result = evaluate_task(
        converted,
        source,
        [Labelled(tokenizer.encode(s.text)[:longest], s.label) for s in sentences],
        table=check_table(code, converted.table),
        rungs=rungs,
        report=lambda line: print(line, file=screen, flush=True),
    )
    if source is None:
        print("the checkpoint is not at hand: name it with --checkpoint for float", file=screen)
    _print(result, screen)
    options.write_json(json, dataclasses.asdict(result))


def _open(name: str, checkpoint: str | None) -> tuple[ConvertedEncoder, EncoderCheckpoint | None]:
    if not is_encoder_container(name):
        source = open_encoder(name)
        return convert_task_model(source)[0], source
    converted = load_encoder(name)
    if checkpoint is None:
        return converted, None
    source = open_encoder(checkpoint)
    if source.sha256 != converted.source["sha256"]:
        raise UserError(f"{checkpoint} is not the checkpoint that the container was made from")
    return converted, source


def _print(result: TaskEvaluation, screen) -> None:
    print(f"{result.sentences} sentences, code table {result.table}", file=screen)
    for weight in ("elements", "macs") if result.shares else ():
        share = result.shares[weight]
        print(
            f"{weight:>9}: {share['silent']:7.2%} silent, {share['spike']:7.2%} spikes, "
            f"{share['integer']:6.2%} integer",
            file=screen,
        )
