"""SmolLM2-135M: accuracy of the ladder, and one layer in RTL."""

import json
import sys

import pytest

from sw import cli

pytestmark = pytest.mark.slow

#: Measured before this project, by another implementation.
FLOAT_PERPLEXITY = 38.75


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["firstspike", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, capsys.readouterr()


def test_golden_perplexity_calibrated_on_another_novel(monkeypatch, capsys, tmp_path):
    model, result = tmp_path / "model.safetensors", tmp_path / "eval.json"
    arguments = ["smollm2-135m", "-o", model, "--calibrate", "novels/emma", "--from", "100000"]
    code, _ = run(monkeypatch, capsys, "convert", *arguments)
    assert code == 0
    text = ["--text", "novels/persuasion", "--from", 200000, "--tokens", 4096]
    code, _ = run(monkeypatch, capsys, "eval", model, *text, "--json", result)
    assert code == 0
    measured = json.loads(result.read_text())
    perplexity, shares = measured["perplexity"], measured["shares"]
    assert abs(perplexity["float"] - FLOAT_PERPLEXITY) <= 0.1
    assert perplexity["golden"] <= 1.05 * perplexity["float"]
    assert shares["elements"]["integer"] <= 0.03
    assert max(share["integer"] for share in shares["matrices"].values()) <= 0.06


def test_paris(monkeypatch, capsys):
    arguments = ["smollm2-135m", "--prompt", "The capital of France is", "--tokens", "2"]
    code, printed = run(monkeypatch, capsys, "generate", *arguments)
    assert code == 0 and printed.out.startswith("The capital of France is Paris.")


def test_chat_on_the_device(monkeypatch, capsys):
    """A prompt of more than 30 tokens, 64 of answer: the device makes them all."""
    question = "Name three rivers of Europe, and say in one sentence each where it begins and ends."
    arguments = ["smollm2-135m", "--config", "mac128-token", "--chat", "--prompt", question]
    code, printed = run(monkeypatch, capsys, "verify", *arguments, "--tokens", "64")
    assert code == 0
    verdict = printed.out.splitlines()[-1]
    made = int(verdict.split(" tokens made by the device")[0].split()[-1])
    assert made >= 30 + 63 and verdict.endswith("0 mismatches")


def test_one_layer_in_rtl(monkeypatch, capsys):
    arguments = ["smollm2-135m", "--config", "mac64", "--layer", "7", "--tokens", "1"]
    code, printed = run(monkeypatch, capsys, "verify", *arguments, "--prompt", "The capital of")
    assert code == 0 and "0 mismatches" in printed.out
