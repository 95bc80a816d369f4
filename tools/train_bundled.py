"""Train the small model that ships in sw/models: float first, then quantization-aware.

Run from the project's folder as ``python -m tools.train_bundled``; it takes about 20 minutes on one
core and writes the GGUF file. The same seed and steps give the same model on the same machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional

from sw.golden.fake import FakeQuantizers
from sw.golden.float_model import FloatLlama, Quantizers
from sw.golden.perplexity import perplexity
from sw.load.checkpoint import LlamaConfig
from sw.load.fetch import novel
from sw.models import bundled_model
from tools.export_gguf import export_gguf

TRAINING = ("emma", "mansfieldpark", "northangerabbey", "prideprejudice", "sensesensibility")
HELD_OUT = "persuasion"
END_OF_TEXT = "<|endoftext|>"
CONFIG = LlamaConfig(
    layers=5,
    width=64,
    ffn_width=192,
    heads=2,
    kv_heads=1,
    head_width=32,
    vocabulary=512,
    context=256,
    rope_theta=10_000.0,
    rope_interleaved=True,
    norm_epsilon=1e-5,
    tied_head=True,
)
ABOUT = {
    "name": "Austen 0.3M",
    "license": "BSD-2-Clause",
    "description": "Trained by tools/train_bundled.py of Firstspike on public-domain novels of "
    "Jane Austen (all but Persuasion), from Debian's package r-cran-janeaustenr.",
}
console = Console(stderr=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One run of AdamW with a linear warm-up and a cosine to a tenth of the rate.

    Attributes
    ----------
    name : str
        Shown with the progress.
    steps, warmup, batch : int
        Optimizer steps, how many of them warm up, and windows of a whole context a step.
    rate : float
        Highest learning rate.
    seed : int
        Chooses the windows.
    """

    name: str
    steps: int
    warmup: int
    batch: int
    rate: float
    seed: int

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        turn = math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (0.55 + 0.45 * math.cos(turn))


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """Byte-level BPE in the manner of GPT-2, its first token the end of a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train(model: FloatLlama, tokens: torch.Tensor, phase: Phase) -> None:
    """Train in place on random windows of the tokens, shape (count,)."""
    generator = torch.Generator().manual_seed(phase.seed)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=phase.rate, betas=(0.9, 0.95))
    window = torch.arange(model.config.context + 1)
    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]:.3f} nats a token"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(phase.name, total=phase.steps, loss=math.nan)
        smooth = None
        for step in range(phase.steps):
            for group in optimizer.param_groups:
                group["lr"] = phase.rate_at(step)
            starts = torch.randint(
                len(tokens) - len(window) + 1, (phase.batch, 1), generator=generator
            )
            windows = tokens[starts + window]
            logits = model(windows[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
            progress.update(task, advance=1, loss=smooth)
            if step % 100 == 99 and not console.is_terminal:
                console.print(f"{phase.name}: step {step + 1}, {smooth:.4f} nats a token")


def report(model: FloatLlama, tokens: torch.Tensor, characters: int, label: str) -> None:
    """Print the perplexity of the held-out novel, a token and a character."""
    measured = perplexity(model, tokens, model.config.context)
    console.print(
        f"{label}: perplexity {measured.perplexity:.3f}, {measured.nll:.4f} +- "
        f"{measured.nll_stderr:.4f} nats a token, "
        f"{measured.nll * len(tokens) / characters:.4f} nats a character"
    )


def main() -> None:
    """Train, measure and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--float-steps", type=int, default=3000)
    parser.add_argument("--aware-steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--output", type=Path, default=bundled_model())
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    texts = [novel(name) for name in TRAINING]
    held_out_text = novel(HELD_OUT)
    tokenizer = train_tokenizer(texts, CONFIG.vocabulary)
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokens = torch.tensor([t for text in texts for t in [*tokenizer.encode(text).ids, end]])
    held_out = torch.tensor(tokenizer.encode(held_out_text).ids)
    console.print(f"{len(tokens)} tokens to train on, {len(held_out)} held out")

    model = FloatLlama(CONFIG, generator=torch.Generator().manual_seed(options.seed))
    phase = Phase(
        name="float",
        steps=options.float_steps,
        warmup=100,
        batch=options.batch,
        rate=4e-3,
        seed=options.seed,
    )
    train(model, tokens, phase)
    report(model, held_out, len(held_out_text), "float phase, float")
    model.quantizers = FakeQuantizers()
    report(model, held_out, len(held_out_text), "float phase, fake-quantized")

    phase = Phase(
        name="quantization-aware",
        steps=options.aware_steps,
        warmup=50,
        batch=options.batch,
        rate=1.5e-3,
        seed=options.seed + 1,
    )
    train(model, tokens, phase)
    report(model, held_out, len(held_out_text), "fake-quantized")
    model.quantizers = Quantizers()
    report(model, held_out, len(held_out_text), "float")
    export_gguf(options.output, model, tokenizer, end=END_OF_TEXT, about=ABOUT)
    console.print(f"wrote {options.output}, {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
