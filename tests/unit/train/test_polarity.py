"""Training: batches, a task that can be learnt, quantization in the loop, the file."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest
import torch
from rich.console import Console
from torch.nn import functional

from sw.commands.convert_encoder import convert_task_model
from sw.convert.container import read_quantizers
from sw.evaluate_task import evaluate_task
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import SITE_MATRICES, EncoderQuantizers, FloatEncoder, pad
from sw.load.polarity import Sentence
from sw.opening import open_encoder
from sw.train import polarity
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


@torch.no_grad()
def vectors(model, quantizers, tokens, mask) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What stands at each site of a model, before and after it is coded."""
    seen, code = {}, quantizers.linear_input

    def keep(x, site):
        seen[site] = x, code(x, site)
        return seen[site][1]

    quantizers.linear_input, model.quantizers = keep, quantizers
    model.encode(tokens, mask)
    quantizers.linear_input, model.quantizers = code, EncoderQuantizers()
    return seen


@torch.no_grad()
def reconstruction(student, teacher, quantizers, ids) -> dict[str, float]:
    """Square error of each matrix, codes and rounding in place, over that of the teacher's own.

    Matrices whose outputs are added to the vectors have to make up for these, too.
    """
    tokens, mask = pad(ids)
    has = vectors(student, quantizers, tokens, mask)
    wants = vectors(teacher, EncoderQuantizers(), tokens, mask)
    added = {"attn_output": "attn_q", "ffn_down": "ffn_gate"}
    ratios = {}
    for layer, site in itertools.product(range(student.config.layers), SITE_MATRICES):
        place = f"layers.{layer}.{site}"
        for name in SITE_MATRICES[site]:
            fitted, own = (getattr(model.blk[layer], name) for model in (student, teacher))
            y = own(wants[place][1])
            if site in added:
                residual = f"layers.{layer}.{added[site]}"
                y = y + wants[residual][0] - has[residual][0]
            errors = []
            for linear in (fitted, own):
                weight = quantizers.weight(linear.weight, f"blk.{layer}.{name}.weight")
                out = functional.linear(has[place][1], weight, linear.bias)
                errors.append(float((out - y)[mask].square().mean()))
            ratios[f"{layer}.{name}"] = errors[0] / errors[1]
    return ratios


@pytest.fixture(scope="module")
def fits(trained, tmp_path_factory):
    """A fit, and what becomes of the same model with the same silence if the fit is left out.

    Of each: the notes, the errors of its matrices, and the square distance of the logits from those
    of the float model on other sentences.
    """
    checkpoint, model, _ = trained
    path = tmp_path_factory.mktemp("fit") / "trained.safetensors"
    save_trained(path, model, checkpoint, {"task": "polarity"})
    source = open_encoder(str(path))
    teacher = FloatEncoder.from_checkpoint(source)
    read, other = ([e.ids for e in tokenize(source, split)] for split in SPLITS.values())
    plan = Plan(seed=2, aware_epochs=0.0, silence=0.6, fit=256)
    found = {}
    for name, fit in (("fitted", polarity.reconstruct), ("skipped", lambda *_, **__: [])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(polarity, "reconstruct", fit)
            made, notes = train_polarity(source, SPLITS, plan, console=QUIET)
        quantizers = FakeEncoderQuantizers(read_quantizers(notes["quantizers"]))
        ratios = reconstruction(made, teacher, quantizers, read)
        made.quantizers = quantizers
        away = float((logits_of(made, other) - logits_of(teacher, other)).square().mean())
        found[name] = notes, ratios, away
    return found


def test_a_fit_without_gradients_keeps_the_task(fits):
    """Every matrix comes nearer to the float model than by rounding alone, and so do answers."""
    (notes, ratios, away), (unfitted, _, lost) = fits["fitted"], fits["skipped"]
    assert len(ratios) == 12 and max(ratios.values()) < 1, ratios
    assert statistics.median(ratios.values()) < 0.6, ratios
    assert away < 0.4 * lost
    accuracy = notes["validation"]["fake"]
    assert accuracy > 0.9 and accuracy >= unfitted["validation"]["fake"]
    assert notes["fit"] == 256 and notes["quantizers"] == unfitted["quantizers"]
    thresholds = [tables["companded"][1] for tables in notes["quantizers"].values()]
    assert sum(threshold > 4 for threshold in thresholds) >= 6  # of eight inputs of matrices


def test_a_fit_that_is_left_out_is_seen(fits):
    """What the test before measures is the fit, not the silence."""
    _, ratios, _ = fits["skipped"]
    assert set(ratios.values()) == {1.0}


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
