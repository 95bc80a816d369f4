"""Accuracy of an encoder on the rungs of the ladder, and the shares of its codes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch

from sw.convert.encoder import ConvertedEncoder
from sw.evaluate import RUNGS, Meter
from sw.golden.encoder import GoldenEncoder
from sw.golden.fake_encoder import FakeEncoderQuantizers, take_biases
from sw.golden.float_encoder import FloatEncoder
from sw.load.checkpoint import EncoderCheckpoint
from sw.progress import watched
from sw.train.encoder import Labelled, logits_of

_CLASSES = {"silent": "silent", "spike": "spikes", "integer": "integer_events"}


@dataclasses.dataclass(kw_only=True)
class TaskEvaluation:
    """What ``eval --task --json`` writes: accuracy per rung, and shares of codes.

    Attributes
    ----------
    accuracy, stderr : dict of str to float or None
        By rung, as shares; None where it was not measured. The error is that of a share.
    agreement : dict of str to float
        Sentences on which a rung decides as the float model.
    sentences : int
        Sentences that were read.
    table : str
        Code table.
    shares : dict
        ``elements`` and ``macs`` with shares ``silent``, ``spike`` and ``integer`` of the golden
        rung, and the same per matrix under ``matrices``.
    """

    accuracy: dict[str, float | None]
    stderr: dict[str, float | None]
    agreement: dict[str, float]
    sentences: int
    table: str
    shares: dict


def evaluate_task(
    model: ConvertedEncoder,
    checkpoint: EncoderCheckpoint | None,
    examples: Sequence[Labelled],
    *,
    table: str,
    rungs: tuple[str, ...] = RUNGS,
    report: Callable[[str], None] = print,
) -> TaskEvaluation:
    """Let every rung classify the sentences.

    Parameters
    ----------
    model : ConvertedEncoder
        For the golden rung; its weights serve the fake rung too.
    checkpoint : EncoderCheckpoint, optional
        For the float and fake rungs, which are left out without it.
    examples : sequence of Labelled
        Sentences.
    table : str
        Code table of the fake and golden rungs.
    rungs : tuple of str
        What to measure.
    report : callable
        Receives a line when a rung is done.
    """
    decided: dict[str, list[int]] = {}
    shares: dict = {}
    labels = [example.label for example in examples]
    accuracy: dict[str, float | None] = dict.fromkeys(RUNGS)
    stderr: dict[str, float | None] = dict.fromkeys(RUNGS)
    for rung in rungs:
        if rung == "golden":
            decided[rung], shares = _golden(model, examples, table)
        elif checkpoint is not None:
            decided[rung] = _float(rung, model, checkpoint, examples, table)
        else:
            continue
        right = sum(map(int.__eq__, decided[rung], labels)) / len(labels)
        accuracy[rung], stderr[rung] = right, math.sqrt(right * (1 - right) / len(labels))
        report(f"{rung:>7}  {right:7.2%} +- {stderr[rung]:.2%}")
    exact = decided.get("float")
    agreement = {
        rung: sum(map(int.__eq__, choices, exact)) / len(labels)
        for rung, choices in decided.items()
        if exact is not None and rung != "float"
    }
    return TaskEvaluation(
        accuracy=accuracy,
        stderr=stderr,
        agreement=agreement,
        sentences=len(labels),
        table=table,
        shares=shares,
    )


def _float(rung, model, checkpoint, examples, table) -> list[int]:
    network = FloatEncoder.from_checkpoint(checkpoint)
    if rung == "fake":
        network.quantizers = FakeEncoderQuantizers.from_model(model, table=table)
        take_biases(network, model)
    with torch.no_grad():
        ids = [example.ids for example in examples]
        return logits_of(network, ids, what=rung).argmax(-1).tolist()


def _golden(model, examples, table) -> tuple[list[int], dict]:
    golden = GoldenEncoder(model, table=table)
    meter = Meter(model, table=golden.table)
    golden.golden = meter
    sentences = [example.ids for example in examples]
    decided = [0] * len(sentences)
    for rows in watched(alike(sentences), "golden"):
        for row, encoding in zip(
            rows, golden.encode_alike([sentences[row] for row in rows]), strict=True
        ):
            decided[row] = int(encoding.logits.argmax())
    return decided, task_shares(meter)


def alike(sentences: Sequence[Sequence[int]], most: int = 4) -> list[list[int]]:
    """Group the indices of sentences by their length, at most so many together."""
    by_length: dict[int, list[int]] = {}
    for row, sentence in enumerate(sentences):
        by_length.setdefault(len(sentence), []).append(row)
    return [
        rows[start : start + most]
        for _, rows in sorted(by_length.items())
        for start in range(0, len(rows), most)
    ]


def task_shares(meter: Meter) -> dict:
    """Shares of the classes of codes: per matrix, and of all, by elements and by products."""
    shares: dict = {"matrices": {}}
    for weight in ("elements", "macs"):
        totals = dict.fromkeys(_CLASSES.values(), 0)
        for entry in meter.by_matrix.values():
            factor = entry["outputs"] if weight == "macs" else 1
            for key in totals:
                totals[key] += factor * entry[key]
        shares[weight] = _shares(totals)
    for name, entry in meter.by_matrix.items():
        shares["matrices"][name] = _shares(entry)
    return shares


def _shares(entry: dict[str, int]) -> dict[str, float]:
    total = sum(entry[key] for key in _CLASSES.values())
    return {name: entry[key] / total for name, key in _CLASSES.items()}
