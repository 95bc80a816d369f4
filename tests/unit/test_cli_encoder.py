"""Encoders on the command line: train, convert, inspect, evaluate."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sw.load.hf_save import save_encoder
from tests.unit.encoders import SMALL, encoder_checkpoint, write_bert

WORDS = ("good", "bad", "film", "plot", "not badly")


@pytest.fixture
def run(run, monkeypatch, tmp_path):
    """Run it in a folder with a task's text; return exit code, output, errors."""
    lines = [
        f"{i}\t{(-1.0) ** i}\tthe {WORDS[i % 5]} is {WORDS[i % 3]}, number {i}." for i in range(200)
    ]
    cache = tmp_path / "cache"
    (cache / "polarity").mkdir(parents=True)
    (cache / "polarity" / "movieReviewSnippets_GroundTruth.txt").write_text("\n".join(lines))
    monkeypatch.setenv("FIRSTSPIKE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)

    return run


def evaluate(run, *arguments: str) -> dict:
    code, out, err = run("eval", *arguments, "--task", "polarity", "--json", "-")
    assert code == 0, err
    return json.loads(out)


def test_from_training_to_evaluation(run, tmp_path):
    write_bert(tmp_path / "bert")
    train = ["train", "polarity", "--limit", "64", "--epochs", "0.5", "--aware-epochs", "0.5"]
    code, out, err = run(*train, "--model", "bert", "-o", "a.safetensors", "--silence", "0.6")
    assert code == 0 and out.startswith("a.safetensors: ")
    assert "float: accuracy" in err and "fake: accuracy" in err
    result = evaluate(run, "a.safetensors", "--limit", "20", "--seed", "3")
    assert result["sentences"] == 20 and set(result["accuracy"]) == {"float", "fake", "golden"}
    assert result["shares"]["elements"]["silent"] > 0.4
    assert result == evaluate(run, "a.safetensors", "--limit", "20", "--seed", "3")
    code, _, err = run(*train, "--model", "a.safetensors", "-o", "b.safetensors")
    assert code == 2 and "is trained already; add --dead-zone K or --silence" in err
    code, _, err = run(
        *train, "--model", "a.safetensors", "-o", "b.safetensors", "--dead-zone", "0"
    )
    assert code == 0 and (tmp_path / "b.safetensors").is_file()
    fit = ["train", "polarity", "--limit", "64", "--fit", "64", "--aware-epochs", "0"]
    code, _, err = run(*fit, "--model", "bert", "-o", "c.safetensors")
    assert code == 2 and "--fit needs --dead-zone K or --silence SHARE" in err
    train[-1] = "0"
    code, _, err = run(*train, "--model", "bert", "-o", "c.safetensors", "--silence", "0.6")
    assert code == 2 and "--aware-epochs must be above 0, or 0 with --fit, not 0.0" in err
    fit += ["--epochs", "0.5", "--silence", "0.6"]
    code, _, err = run(*fit, "--model", "bert", "-o", "c.safetensors")
    assert code == 0 and "fitted to 64 sentences; away from float by layer: 0." in err
    compensated = ["--compensate", "--calibrate", "polarity", "--tokens", "400"]
    code, out, _ = run("convert", "c.safetensors", *compensated, "-o", "d.safetensors")
    assert code == 0 and "quantizers: as trained" in out
    result = evaluate(run, "d.safetensors", "--limit", "20", "--rungs", "golden")
    assert abs(result["shares"]["elements"]["silent"] - 0.6) < 0.1


def test_conversion_with_and_without_compensation(run, tmp_path):
    config = dataclasses.replace(SMALL, labels=2)
    source = encoder_checkpoint(config, seed=4)
    save_encoder(
        tmp_path / "m.safetensors",
        config=config,
        tensors=source.tensors,
        tokenizer_json=source.tokenizer_spec["json"],
        training={},
    )
    fit = ["--calibrate", "polarity", "--tokens", "400"]
    code, out, _ = run("convert", "m.safetensors", *fit, "-o", "w4.safetensors")
    assert code == 0 and "blk.1.ffn_down" in out and "fitted to polarity" in out
    mean = next(line for line in out.splitlines() if " mean " in line).replace("│", " ").split()
    assert float(mean[2]) < 0.8 * float(mean[1])
    code, out, _ = run("convert", "m.safetensors", *fit, "--rounding", "-o", "round.safetensors")
    mean = next(line for line in out.splitlines() if " mean " in line).replace("│", " ").split()
    assert code == 0 and mean[1] == mean[2]
    text = tmp_path / "text.txt"
    text.write_text("a good film\n\nthe plot is bad\n")
    silence = ["--silence", "ffn_down=2", "--code", "signed8", "--calibrate", "text.txt"]
    code, out, _ = run("convert", "m.safetensors", *silence, "-o", "loud.safetensors")
    assert code == 0 and "code table signed8" in out
    quiet = ["convert", "m.safetensors", *fit, "--silence", "0.5", "-o", "quiet.safetensors"]
    code, out, _ = run(*quiet)
    assert code == 0 and "fitted to polarity, 50% silent" in out
    result = evaluate(run, "quiet.safetensors", "--limit", "9")
    assert 0.3 < result["shares"]["elements"]["silent"] < 0.7
    code, out, _ = run("inspect", "loud.safetensors")
    assert code == 0 and "encoder, 2 layers, width 32, 2 heads of 16" in out
    assert out.count(" 2 │") >= 2 and "w4" in out
    code, out, _ = run("inspect", "m.safetensors")
    assert code == 0 and "w4" not in out
    result = evaluate(run, "w4.safetensors", "--limit", "7")
    assert result["accuracy"]["float"] is None and result["accuracy"]["golden"] is not None
    result = evaluate(run, "w4.safetensors", "--limit", "7", "--checkpoint", "m.safetensors")
    assert set(result["agreement"]) == {"fake", "golden"}


BAD = {
    "decoder": (["eval", "bundled", "--task", "polarity"], "bundled is no encoder; name minilm"),
    "no head": (["eval", "bert", "--task", "polarity"], "has 0 classes, polarity has 2; make a"),
    "generate": (["generate", "bert"], "bert is an encoder, where a decoder of the Llama family"),
    "share": (["convert", "bert", "--silence", "0.5"], "--silence SHARE needs sentences, such as"),
    "shares": (["convert", "bert", "--silence", "2"], "one number between 0 and 1, not 2"),
    "groups": (["convert", "odd"], "groups of 32 inputs, and a matrix has 36: convert with"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(run, tmp_path, case):
    write_bert(tmp_path / "bert")
    write_bert(tmp_path / "odd", dataclasses.replace(SMALL, width=36))
    arguments, sentence = BAD[case]
    code, _, err = run(*arguments)
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert sentence in err


def test_a_container_of_another_checkpoint(run, tmp_path):
    write_bert(tmp_path / "bert")
    assert run("convert", "bert", "-o", "c.safetensors")[0] == 0
    config = dataclasses.replace(SMALL, labels=2)
    source = encoder_checkpoint(config, seed=4)
    save_encoder(
        tmp_path / "m.safetensors",
        config=config,
        tensors=source.tensors,
        tokenizer_json=source.tokenizer_spec["json"],
        training={},
    )
    code, _, err = run(
        "eval", "c.safetensors", "--task", "polarity", "--checkpoint", "m.safetensors"
    )
    assert code == 2 and "m.safetensors is not the checkpoint that the container" in err
    code, _, err = run("generate", "c.safetensors")
    assert code == 2 and "c.safetensors is an encoder, where a decoder" in err
