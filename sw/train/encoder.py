"""Fine-tunes an encoder with a linear head, in float or with fake quantization in the loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from sw.golden.float_encoder import FloatEncoder, pad
from sw.progress import watched


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A sentence as token ids, and its class."""

    ids: list[int]
    label: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One run of AdamW with a linear warm-up and a linear decay.

    Attributes
    ----------
    name : str
        Shown with the progress.
    epochs : float
        How often each sentence is seen.
    batch : int
        Sentences a step.
    rate, head_rate : float
        Highest learning rates of the encoder and of the head.
    warmup : float
        Part of the steps.
    seed : int
        Chooses the order of the sentences.
    """

    name: str
    epochs: float
    batch: int = 32
    rate: float = 6e-5
    head_rate: float = 2e-3
    warmup: float = 0.1
    seed: int

    def factor(self, step: int, steps: int) -> float:
        """Learning rate of a step over the highest."""
        rising = (step + 1) / max(1, self.warmup * steps)
        return min(rising, (steps - step) / max(1, (1 - self.warmup) * steps), 1.0)


class Teacher(NamedTuple):
    """What a better model makes of the sentences.

    Attributes
    ----------
    logits : Tensor
        Shape (examples, labels).
    hidden : list of Tensor
        Vectors behind the last layer, half precision, shape (tokens, width) each.
    """

    logits: Tensor
    hidden: list[Tensor]


@torch.no_grad()
def teach(model: FloatEncoder, sentences: Sequence[list[int]], batch: int = 64) -> Teacher:
    """Let a model be the teacher, as it is."""
    by_length = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    logits = torch.empty(len(sentences), model.config.labels)
    hidden = [torch.empty(0)] * len(sentences)
    for start in range(0, len(by_length), batch):
        rows = by_length[start : start + batch]
        tokens, mask = pad([sentences[row] for row in rows])
        vectors = model.encode(tokens, mask)
        logits[rows] = model.classify(vectors, mask)
        for row, vector in zip(rows, vectors.half(), strict=True):
            hidden[row] = vector[: len(sentences[row])].clone()
    return Teacher(logits, hidden)


def order(lengths: Sequence[int], batch: int, generator: torch.Generator) -> list[list[int]]:
    """Batches of one epoch in random order, sentences of a batch alike in length."""
    shuffled = torch.randperm(len(lengths), generator=generator).tolist()
    batches = []
    for start in range(0, len(shuffled), 32 * batch):
        pool = sorted(shuffled[start : start + 32 * batch], key=lambda i: lengths[i])
        batches += [pool[i : i + batch] for i in range(0, len(pool), batch)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def train(
    model: FloatEncoder,
    examples: Sequence[Labelled],
    phase: Phase,
    *,
    teacher: Teacher | None = None,
    before_step: Callable[[int, int], None] | None = None,
    console: Console | None = None,
) -> None:
    """Train in place.

    Parameters
    ----------
    model : FloatEncoder
        Model with a head; its quantizers stay in the loop.
    examples : sequence of Labelled
        Sentences.
    phase : Phase
        How long and how fast.
    teacher : Teacher, optional
        A better model. Half of the loss on labels is the cross entropy with its softmax, and the
        square distance to its vectors, over their squares, is added.
    before_step : callable, optional
        Called with step and number of steps before each.
    console : Console, optional
        Where the progress is shown; nowhere if absent.
    """
    generator = torch.Generator().manual_seed(phase.seed)
    optimizer = torch.optim.AdamW(_groups(model, phase), betas=(0.9, 0.98))
    highest = [group["lr"] for group in optimizer.param_groups]
    lengths = [len(example.ids) for example in examples]
    batches: list[list[int]] = []
    for _ in range(math.ceil(phase.epochs)):
        batches += order(lengths, phase.batch, generator)
    batches = batches[: round(phase.epochs * len(batches) / math.ceil(phase.epochs))]
    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    )
    with Progress(*columns, console=console, disable=console is None) as progress:
        task = progress.add_task(phase.name, total=len(batches), loss=math.nan)
        smooth = None
        for step, rows in enumerate(batches):
            if before_step is not None:
                before_step(step, len(batches))
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = rate * phase.factor(step, len(batches))
            loss = _loss(model, [examples[row] for row in rows], teacher, rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
            progress.update(task, advance=1, loss=smooth)


def _groups(model: FloatEncoder, phase: Phase) -> list[dict]:
    """Weights decay but for norms and biases; embeddings stay as they were trained."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    head: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if name.startswith(("token_embd.", "position_embd.", "token_types.")):
            parameter.requires_grad_(False)
        elif name.startswith("cls."):
            head.append(parameter)
        else:
            (matrices if parameter.dim() == 2 else vectors).append(parameter)
    return [
        {"params": matrices, "weight_decay": 0.01, "lr": phase.rate},
        {"params": vectors, "weight_decay": 0.0, "lr": phase.rate},
        {"params": head, "weight_decay": 0.01, "lr": phase.head_rate},
    ]


def _loss(model, examples: list[Labelled], teacher: Teacher | None, rows: list[int]) -> Tensor:
    tokens, mask = pad([example.ids for example in examples])
    vectors = model.encode(tokens, mask)
    logits = model.classify(vectors, mask)
    loss = functional.cross_entropy(logits, torch.tensor([e.label for e in examples]))
    if teacher is None:
        return loss
    soft = functional.cross_entropy(logits, teacher.logits[rows].softmax(-1))
    wanted = torch.cat([teacher.hidden[row] for row in rows]).float()
    distance = functional.mse_loss(vectors[mask], wanted) / wanted.square().mean()
    return 0.5 * (loss + soft) + distance


@torch.no_grad()
def logits_of(
    model: FloatEncoder,
    sentences: Sequence[list[int]],
    batch: int = 64,
    *,
    what: str | None = None,
) -> Tensor:
    """Logits of sentences in their order, shape (sentences, labels).

    Progress is shown under the name ``what``, if there is one.
    """
    by_length = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    logits = torch.empty(len(sentences), model.config.labels)
    starts = range(0, len(by_length), batch)
    for start in watched(starts, what) if what else starts:
        rows = by_length[start : start + batch]
        logits[rows] = model(*pad([sentences[row] for row in rows]))
    return logits


def accuracy(model: FloatEncoder, examples: Sequence[Labelled]) -> float:
    """Share of sentences whose largest logit is that of their class."""
    best = logits_of(model, [e.ids for e in examples]).argmax(-1).tolist()
    return sum(b == e.label for b, e in zip(best, examples, strict=True)) / len(examples)
