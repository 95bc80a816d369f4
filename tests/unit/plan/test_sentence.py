"""The cost of a sentence, and the command that tells it."""

import json

import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from sim.memory import MemoryModel
from sw.commands.plan_sentence import sentence_of
from sw.compile.encoder_program import EncoderProgram
from sw.convert.convert_encoder import convert_encoder
from sw.plan.cost import TokenCost
from sw.plan.sentence import sentence_costs
from tests.unit.encoders import encoder_checkpoint

CONFIG = "mac8-encoder"


@pytest.fixture(scope="module")
def model():
    return convert_encoder(encoder_checkpoint(seed=3))


@pytest.fixture
def plan(model, run, monkeypatch, tmp_path):
    """Run `firstspike plan` for the model; return exit code, output, errors."""
    model.save(tmp_path / "small.safetensors")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str):
        return run("plan", "small.safetensors", "--config", CONFIG, *arguments)

    return call


def test_programs_add_up_to_the_sentence(model, plan, tmp_path):
    params, timing = CoreParams(CONFIGS[CONFIG]), MemoryModel.parse("dram")
    program = EncoderProgram(model, params, name=CONFIG, context=5)
    ids, seen = sentence_of(model, "the film is bad", 5), []
    costs = sentence_costs(program, params, ids, timing, report=lambda: seen.append(1))
    whole = TokenCost.total(costs)
    assert len(costs) == 6 and whole.cycles == sum(cost.cycles for cost in costs)
    assert whole.cycles == sum(kind.cycles for kind in whole.kinds.values())
    assert whole.octets == sum(kind.octets for kind in whole.kinds.values())
    assert len(seen) == sum(kind.count for kind in whole.kinds.values())
    assert whole.silent_share == costs[-1].silent_share and costs[0].products == 0
    (tmp_path / "text").write_text("the film is bad")
    told = ["--text", "text", "--tokens", "5", "--json", "-"]
    code, out, err = plan("--memory", "dram", *told)
    assert code == 0, err
    told = json.loads(out)
    assert (told["tokens"], told["cycles"], told["bytes"]) == (5, whole.cycles, whole.octets)
    assert told["stalls"] == dict(whole.stalls) and told["stalls"]["memory"] > 0
    assert told["sentences_per_second"] == 1e8 / whole.cycles and told["measured"] is None
    assert "5 tokens: " in err and "sentence" in err


def test_a_sentence_is_a_line_of_the_text_or_as_long_as_is_said(model, plan, tmp_path):
    line = sentence_of(model, "\n a good film\n not bad", None)
    assert len(line) == 5
    longer = sentence_of(model, "a good film", 10)
    assert len(longer) == 10 and longer[1:4] == longer[4:7] == line[1:-1]
    assert (longer[0], longer[-1]) == (line[0], line[-1])
    (tmp_path / "text").write_text("a good film\n")
    costs = [
        json.loads(plan("--json", "-", *arguments)[1])["cycles"]
        for arguments in (("--text", "text"), ("--text", "text", "--tokens", "8"))
    ]
    assert costs[0] < costs[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--position", "3"], "--position is not for encoders; name their length with --tokens"),
        (["--prompt", "3"], "--prompt is not for encoders"),
        (["--tokens", "1"], "--tokens must be 2 or more, as a sentence has two ends, not 1"),
        (["--tokens", "99"], "the sentence has 99 tokens, model and configuration mac8-encoder"),
        (["--config", "mac8-token"], "configuration mac8-token"),
        (["--text", "empty"], "wanted a line of text, got none"),
    ],
)
def test_refusals(plan, tmp_path, arguments, sentence):
    (tmp_path / "empty").write_text(" \n")
    code, _, err = plan(*arguments)
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert sentence in err
