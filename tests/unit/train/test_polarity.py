"""Training: batches, a task that can be learnt, quantization in the loop, the file."""

from __future__ import annotations

import random

import pytest
import torch
from rich.console import Console

from sw.commands.convert_encoder import convert_task_model
from sw.evaluate_task import evaluate_task
from sw.load.polarity import Sentence
from sw.opening import open_encoder
from sw.train.encoder import Labelled, Phase, accuracy, logits_of, order, teach, train
from sw.train.polarity import Plan, save_trained, tokenize, train_polarity, with_head
from tests.unit.encoders import encoder_checkpoint

QUIET = Console(quiet=True)


def sentences(count: int, seed: int) -> list[Sentence]:
    """Good or bad films, in random words; "not" turns the label."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        good, turned = rng.random() < 0.5, rng.random() < 0.3
        words = [rng.choice(["a", "the"]), rng.choice(["film", "plot"]), "is"]
        words += ["not"] * turned + [rng.choice(["good", "goodness"]) if good else "bad"]
        made.append(Sentence(" ".join(words) + rng.choice([".", "!", ""]), int(good != turned)))
    return made


SPLITS = {"train": sentences(320, 1), "validation": sentences(80, 2)}


#: Sums of floats, and so what is trained, differ by the number of threads.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained():
    checkpoint = encoder_checkpoint(seed=5)
    plan = Plan(seed=1, epochs=10, aware_epochs=6, rate=3e-3, silence=0.5)
    return checkpoint, *train_polarity(checkpoint, SPLITS, plan, console=QUIET)


def test_every_sentence_is_in_one_batch_with_others_of_its_length():
    lengths = [3 + i % 40 for i in range(1000)]
    batches = order(lengths, 32, torch.Generator().manual_seed(0))
    assert sorted(i for batch in batches for i in batch) == list(range(1000))
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches]
    assert max(map(len, batches)) == 32 and sum(spread) / len(spread) < 4
    assert batches == order(lengths, 32, torch.Generator().manual_seed(0))
    assert batches != order(lengths, 32, torch.Generator().manual_seed(1))


def test_rates_rise_and_fall():
    phase = Phase(name="", epochs=1, seed=0, warmup=0.1)
    factors = [phase.factor(step, 100) for step in range(100)]
    assert factors[9] == 1.0 and factors[0] == 0.1 and 0 < factors[99] < 0.02
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_the_task_is_learnt_with_half_of_the_elements_silent(trained):
    checkpoint, model, training = trained
    assert training["validation"]["float"] > 0.95
    assert training["validation"]["fake"] > 0.9
    assert training["seed"] == 1 and training["silence"] == 0.5
    assert checkpoint.config.labels == 0 and model.config.labels == 2
    assert not model.token_embd.weight.requires_grad


def test_the_file_converts_as_it_was_trained(trained, tmp_path):
    checkpoint, model, training = trained
    path = tmp_path / "trained.safetensors"
    save_trained(path, model, checkpoint, training)
    loaded = open_encoder(str(path))
    assert loaded.training == training
    converted, _ = convert_task_model(loaded)
    assert converted.source["quantizers"] == "as trained"
    assert converted.matrices["layers.0.qkv"].format.name == "w4"
    examples = tokenize(loaded, SPLITS["validation"])
    lines: list[str] = []
    result = evaluate_task(converted, loaded, examples, table=converted.table, report=lines.append)
    assert abs(result.accuracy["fake"] - training["validation"]["fake"]) < 0.04
    assert result.accuracy["golden"] > 0.85 and len(lines) == 3
    assert result.agreement["golden"] > 0.85 and result.sentences == 80
    silent = result.shares["elements"]["silent"]
    assert abs(silent - 0.5) < 0.1
    assert sum(result.shares["macs"].values()) == pytest.approx(1)
    golden = evaluate_task(converted, None, examples[:5], table="fp4", report=lines.append)
    assert golden.accuracy["float"] is None and golden.agreement == {}


def test_the_same_seed_trains_the_same_model(trained):
    checkpoint, model, _ = trained
    plan = Plan(seed=1, epochs=10, aware_epochs=6, rate=3e-3, silence=0.5)
    again, _ = train_polarity(checkpoint, SPLITS, plan, console=QUIET)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_a_trained_model_is_taken_further_with_a_dead_zone(trained, tmp_path):
    checkpoint, model, training = trained
    path = tmp_path / "trained.safetensors"
    save_trained(path, model, checkpoint, {"task": "polarity"})
    plan = Plan(seed=2, aware_epochs=0.2, dead_zone=1, table="mttfs")
    _, notes = train_polarity(open_encoder(str(path)), SPLITS, plan, console=QUIET)
    assert "epochs" not in notes and notes["dead_zone"] == 1
    assert notes["quantizers"]["layers.0.ffn_down"]["mttfs"][1] == 12
    assert notes["quantizers"]["layers.0.ffn_down"]["companded"][1] == 4


def test_a_fit_without_gradients_keeps_the_task(trained, tmp_path):
    checkpoint, model, _ = trained
    path = tmp_path / "trained.safetensors"
    save_trained(path, model, checkpoint, {"task": "polarity"})
    source = open_encoder(str(path))
    fitted = {}
    for fit in (0, 256):
        plan = Plan(seed=2, aware_epochs=0.0 if fit else 0.01, silence=0.6, fit=fit)
        made, notes = train_polarity(source, SPLITS, plan, console=QUIET)
        fitted[fit] = notes["validation"]["fake"]
        assert notes["fit"] == fit
    assert fitted[256] > 0.9 and fitted[256] >= fitted[0]
    thresholds = {t: q["companded"][1] for t, q in notes["quantizers"].items()}
    assert thresholds["layers.0.ffn_down"] > thresholds["layers.0.attn_q"] > 4
    assert not torch.equal(made.blk[0].ffn_up.weight, model.blk[0].ffn_up.weight)


def test_a_teacher_takes_half_of_the_loss():
    checkpoint = encoder_checkpoint(seed=5)
    model = with_head(checkpoint, 0)
    examples = [Labelled(e.ids, 0) for e in tokenize(checkpoint, SPLITS["train"][:64])]
    logits = torch.tensor([[0.0, 9.0]]).expand(64, 2)  # says the opposite
    teacher = teach(model, [e.ids for e in examples])._replace(logits=logits)
    phase = Phase(name="", epochs=6, seed=0)
    train(model, examples, phase, teacher=teacher)
    torch.testing.assert_close(
        logits_of(model, [e.ids for e in examples]).softmax(-1)[:, 1].mean().item(),
        0.5,
        atol=0.1,
        rtol=0,
    )
    assert 0 <= accuracy(model, examples) <= 1


def test_what_puts_quantization_into_the_loop():
    assert not Plan(seed=0).aware
    assert Plan(seed=0, dead_zone=0).aware and Plan(seed=0, silence=0.5).aware
