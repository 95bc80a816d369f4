"""What plans of SmolLM2 cost against float, on texts that they have not seen; all baselines."""

import json
import sys

import pytest

from sw import cli
from sw.compare.baselines import BASELINES

pytestmark = pytest.mark.slow

TEXTS = {
    "novel": ["--text", "novels/persuasion", "--from", "200000"],
    "editorials": ["--text", "editorials"],
}

#: Options of the plan; most of perplexity over float by text; least silent share.
PLANS = {
    "accuracy": (["--budget", "0%", "--integers", "2.9%"], (1.036, 1.051), 0.0),
    "silence": (
        ["--silence", "0.2855", "--objective", "events", "--integers", "2.85%"],
        (1.06, 1.09),
        0.28,
    ),
}


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["firstspike", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert not stop.value.code


@pytest.mark.parametrize("plan", PLANS)
def test_plans(plan, tmp_path):
    options, limits, silent = PLANS[plan]
    model, result = tmp_path / "model.safetensors", tmp_path / "rows.json"
    calibration = ["--calibrate", "novels/emma", "--from", "100000", "--code", "companded"]
    run("convert", "smollm2-135m", *calibration, *options, "-o", model)
    for (name, where), limit in zip(TEXTS.items(), limits, strict=True):
        arguments = [*where, "--tokens", 8192, "--only", "companded", "--json", result]
        run("compare", model, *arguments)
        row = json.loads(result.read_text())["rows"][1]
        print(name, row["ratio"], row["difference_stderr"], row["silent"], row["integer"])
        assert row["name"] == "companded" and row["rung"] == "golden"
        assert row["ratio"] <= limit and row["integer"] <= 0.03 and row["silent"] >= silent


@pytest.mark.parametrize("model, minutes", [("bundled", 5), ("smollm2-135m", 60)])
def test_all_baselines_in_time(model, minutes, tmp_path):
    result = tmp_path / "rows.json"
    run("compare", model, "--from", 200000, "--tokens", 2048, "--json", result)
    measured = json.loads(result.read_text())
    assert [row["name"] for row in measured["rows"]] == [b.name for b in BASELINES]
    assert len(measured["rows"]) == 18 and measured["seconds"] <= 60 * minutes
    mask = measured["masking"]
    assert mask["equal"] and all(tensor["factor"] > 1 for tensor in mask["tensors"])
