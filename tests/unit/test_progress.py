"""Progress is of terminals only, and on standard error."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sw.commands.convert_encoder import convert_task_model
from sw.compare.baselines import BASELINES
from sw.compare.run import Comparison
from sw.evaluate import evaluate
from sw.evaluate_task import evaluate_task
from sw.golden.decoder import GoldenModel
from sw.golden.float_model import FloatLlama, reporting
from sw.opening import open_checkpoint, open_model
from sw.progress import watched, watching
from sw.train.encoder import Labelled
from tests.unit.encoders import SMALL, encoder_checkpoint

#: Two windows of 25 and a rest, which is not read.
TOKENS = torch.arange(2, 57)
LAYERS_AND_HEAD = 6


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


def work(what: str) -> None:
    assert list(watched([3, 4], what)) == [3, 4]
    with watching(what, 8) as report:
        report(3)
        report(5)


def test_nothing_is_shown_without_a_terminal(capsys):
    work("sums")
    assert capsys.readouterr() == ("", "")


def test_names_and_shares_are_shown_on_a_terminal(capsys, terminal):
    work("sums")
    out, err = capsys.readouterr()
    assert out == "" and err.count("sums") >= 2 and "100%" in err


def test_every_layer_of_every_token_is_reported():
    checkpoint, seen = open_checkpoint(None), []
    assert checkpoint.config.layers + 1 == LAYERS_AND_HEAD
    network = FloatLlama.from_checkpoint(checkpoint)
    with torch.no_grad(), reporting(network, seen.append):
        network(TOKENS[:50].view(2, 25))
    assert seen == [50] * LAYERS_AND_HEAD
    network(TOKENS[None, :3])
    assert len(seen) == LAYERS_AND_HEAD
    golden = GoldenModel(open_model(None))
    seen.clear()
    golden.report = seen.append
    golden.prefill(torch.arange(70).tolist())
    assert sorted(seen) == [6] * LAYERS_AND_HEAD + [64] * LAYERS_AND_HEAD


@pytest.fixture
def shown(monkeypatch):
    """Ends of all progress: its name, and how much was done of how much."""
    found = []

    class Recorder:
        def __init__(self, what, total):
            self.what, self.total, self.done = what, total, 0

        def __enter__(self):
            return self.advance

        def advance(self, done):
            self.done += done

        def __exit__(self, *exception):
            found.append((self.what, self.done, self.total))

    monkeypatch.setattr("sw.compare.run.watching", Recorder)
    monkeypatch.setattr("sw.evaluate.watching", Recorder)
    return found


def test_rows_of_a_comparison_show_how_far_they_are(shown):
    comparison = Comparison(open_model(None), open_checkpoint(None), TOKENS, window=25)
    rows = {baseline.name: baseline for baseline in BASELINES}
    for name in ("float", "rate8", "companded"):
        comparison.measure(rows[name])
    whole = LAYERS_AND_HEAD * 50
    assert [what for what, _, _ in shown] == [
        rows["float"].label,
        "salient channels",
        rows["rate8"].label,
        rows["companded"].label,
    ]
    assert all(done == total for _, done, total in shown), shown
    assert {total for what, _, total in shown if what != "salient channels"} == {whole}


def test_rungs_of_a_text_show_how_far_they_are(shown):
    model, checkpoint = open_model(None), open_checkpoint(None)
    evaluate(model, checkpoint, TOKENS, window=25, table="companded", report=lambda line: None)
    whole = LAYERS_AND_HEAD * 50
    assert shown == [(rung, whole, whole) for rung in ("float", "fake", "golden")]


def test_rungs_of_a_task_show_how_far_they_are(capsys, terminal):
    source = encoder_checkpoint(dataclasses.replace(SMALL, labels=2), seed=4)
    converted, _ = convert_task_model(source)
    capsys.readouterr()
    examples = [Labelled([2, 5 + i, 7, 3], i % 2) for i in range(5)]
    told: list[str] = []
    evaluate_task(converted, source, examples, table="companded", report=told.append)
    out, err = capsys.readouterr()
    assert len(told) == 3 and out == ""
    assert all(f"{rung} " in err for rung in ("float", "fake", "golden"))
