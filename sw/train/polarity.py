"""Sentence polarity: fine-tunes an encoder, and puts quantization and dead zone into the loop."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from hw.spec.codes import DEFAULT_TABLE
from sw.convert.encoder_quantizers import (
    Quantizers,
    bias_corrections,
    calibrated,
    correct_biases,
    dead_zone,
    record,
    silencing,
)
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import EncoderQuantizers, FloatEncoder
from sw.load.checkpoint import EncoderCheckpoint
from sw.load.hf_save import save_encoder
from sw.load.polarity import Sentence
from sw.train.damage import allot, damage
from sw.train.encoder import Labelled, Phase, accuracy, teach, train
from sw.train.reconstruct import reconstruct

CLASSES = 2

#: Tokens of a sentence that are read.
LONGEST = 128

#: Sentences that quantizers are fitted to, and how often in a run.
_FITTED, _FITS = 64, 6

#: Learning rate of a head that is trained already.
_AWARE_HEAD_RATE = 5e-4

#: Learning rate with quantization in the loop over that without.
_AWARE_FACTOR = 2.0

#: Sentences on which the damage of thresholds is measured before a fit.
_WEIGHED = 192

#: Part of the steps over which a dead zone widens.
_WIDENING = 0.4

#: Part of the steps after which thresholds stay.
_LAST_FIT = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained.

    Attributes
    ----------
    seed : int
        Of the head, the order of sentences, and the samples of calibration.
    epochs : float
        Of fine-tuning in float, for a model that has no head yet.
    aware_epochs : float
        With quantization in the loop; 0 for none behind a fit.
    fit : int
        Sentences that matrices are fitted to before, layer by layer, without gradients; thresholds
        stay from there on. 0 for no fit.
    rate : float
        Highest learning rate of the encoder.
    table : str
        Code table in the loop.
    dead_zone : int, optional
        Matterhorn's k: levels within k of zero are silent. 0 is quantization alone.
    silence : float, optional
        Share of silent elements wanted instead, 0..1.
    """

    seed: int
    epochs: float = 2.0
    aware_epochs: float = 1.0
    fit: int = 0
    rate: float = 6e-5
    table: str = DEFAULT_TABLE
    dead_zone: int | None = None
    silence: float | None = None

    @property
    def aware(self) -> bool:
        """True if quantization is in the loop."""
        return self.dead_zone is not None or self.silence is not None


def train_polarity(
    checkpoint: EncoderCheckpoint,
    sentences: dict[str, list[Sentence]],
    plan: Plan,
    *,
    console: Console,
) -> tuple[FloatEncoder, dict]:
    """Train an encoder to tell positive from negative sentences.

    Parameters
    ----------
    checkpoint : EncoderCheckpoint
        Where to begin. One with a head is not fine-tuned in float again.
    sentences : dict
        Splits ``train`` and ``validation``.
    plan : Plan
        What is trained.
    console : Console
        Where progress is shown.

    Returns
    -------
    model : FloatEncoder
        The trained model, nothing rounding its numbers.
    training : dict
        Notes for the file: task, seed, validation accuracy, and quantizers that were in the loop.
    """
    examples = {name: tokenize(checkpoint, sentences[name]) for name in ("train", "validation")}
    model = with_head(checkpoint, plan.seed)
    training: dict = {**checkpoint.training, "task": "polarity", "seed": plan.seed}
    if not checkpoint.config.labels:
        phase = Phase(name="float", epochs=plan.epochs, seed=plan.seed, rate=plan.rate)
        train(model, examples["train"], phase, console=console)
        training["epochs"] = plan.epochs
        _report(model, examples["validation"], "float", training, console)
    if plan.aware:
        quantizers = _train_aware(model, examples["train"], plan, console)
        model.quantizers = FakeEncoderQuantizers(quantizers, table=plan.table)
        training |= {
            "aware_epochs": plan.aware_epochs,
            "fit": plan.fit,
            "table": plan.table,
            "dead_zone": plan.dead_zone,
            "silence": plan.silence,
            "quantizers": {
                tensor: {name: list(dataclasses.astuple(q)) for name, q in tables.items()}
                for tensor, tables in quantizers.items()
            },
        }
        _report(model, examples["validation"], "fake", training, console)
        model.quantizers = EncoderQuantizers()
    return model, training


def tokenize(checkpoint: EncoderCheckpoint, sentences: Sequence[Sentence]) -> list[Labelled]:
    """Token ids and labels of sentences."""
    longest = min(LONGEST, checkpoint.config.context)
    encode = checkpoint.tokenizer.encode
    return [Labelled(encode(s.text)[:longest], s.label) for s in sentences]


def with_head(checkpoint: EncoderCheckpoint, seed: int) -> FloatEncoder:
    """Model of a checkpoint; if it has no head, with one of zeros."""
    if checkpoint.config.labels:
        return FloatEncoder.from_checkpoint(checkpoint)
    width = checkpoint.config.width
    head = {"cls.weight": np.zeros((CLASSES, width)), "cls.bias": np.zeros(CLASSES)}
    return FloatEncoder.from_checkpoint(
        dataclasses.replace(
            checkpoint,
            config=dataclasses.replace(checkpoint.config, labels=CLASSES),
            tensors={**checkpoint.tensors, **head},
        )
    )


def save_trained(
    path: Path, model: FloatEncoder, checkpoint: EncoderCheckpoint, training: dict
) -> None:
    """Write the model as one safetensors file."""
    save_encoder(
        path,
        config=model.config,
        tensors={name: value.numpy() for name, value in model.state_dict().items()},
        tokenizer_json=checkpoint.tokenizer_spec["json"],
        training=training,
    )


def _train_aware(
    model: FloatEncoder, examples: list[Labelled], plan: Plan, console: Console
) -> Quantizers:
    """Train with fake quantization; the model before that is the teacher."""
    sample = [examples[i].ids for i in _sample(len(examples), plan.seed, _FITTED)]
    quantizers = calibrated(model.config.layers, record(model, sample, seed=plan.seed))
    teacher = None
    if plan.aware_epochs:
        teacher = teach(model, [example.ids for example in examples])
    if plan.fit:
        chosen = [examples[i].ids for i in _sample(len(examples), plan.seed, plan.fit)]
        quantizers = _fit(model, chosen, quantizers, plan, console)

    def widen(step: int, steps: int) -> None:
        nonlocal quantizers
        if step % max(1, round(_WIDENING * steps / _FITS)) or step > _LAST_FIT * steps:
            return
        part = min(1.0, (step / steps / _WIDENING) if steps > 1 else 1.0)
        seen = record(model, sample, seed=plan.seed, inner=model.quantizers)
        if plan.silence is not None:
            quantizers = silencing(quantizers, plan.table, seen, plan.silence * part)
        elif plan.dead_zone is not None:
            quantizers = dead_zone(quantizers, plan.table, round(plan.dead_zone * part))
        wider = FakeEncoderQuantizers(quantizers, table=plan.table)
        correct_biases(model, bias_corrections(seen, model.quantizers, wider))
        model.quantizers = wider

    model.quantizers = FakeEncoderQuantizers(quantizers, table=plan.table)
    if not plan.aware_epochs:
        return quantizers
    phase = Phase(
        name="quantized",
        epochs=plan.aware_epochs,
        seed=plan.seed + 1,
        rate=_AWARE_FACTOR * plan.rate,
        head_rate=_AWARE_HEAD_RATE,
    )
    step = None if plan.fit else widen
    train(model, examples, phase, teacher=teacher, before_step=step, console=console)
    return quantizers


def _fit(
    model: FloatEncoder,
    sentences: list[list[int]],
    quantizers: Quantizers,
    plan: Plan,
    console: Console,
) -> Quantizers:
    """Choose thresholds by what they do to the answers, and fit the matrices to the model."""
    teacher = copy.deepcopy(model)
    if plan.silence is not None:
        curves = damage(teacher, sentences[:_WEIGHED], quantizers, plan.table)
        quantizers = allot(quantizers, plan.table, curves, plan.silence)
    elif plan.dead_zone is not None:
        quantizers = dead_zone(quantizers, plan.table, plan.dead_zone)
    model.quantizers = FakeEncoderQuantizers(quantizers, table=plan.table)
    distances = reconstruct(model, teacher, sentences, model.quantizers, console=console)
    layers = ", ".join(f"{distance:.3f}" for distance in distances)
    console.print(f"fitted to {len(sentences)} sentences; away from float by layer: {layers}")
    return quantizers


def _sample(count: int, seed: int, wanted: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator)[:wanted].tolist()


def _report(
    model: FloatEncoder, examples: list[Labelled], rung: str, training: dict, console: Console
) -> None:
    share = accuracy(model, examples)
    training.setdefault("validation", {})[rung] = share
    console.print(f"{rung}: accuracy {share:.2%} of {len(examples)} validation sentences")
