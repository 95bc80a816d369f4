"""Whole sentences on a Verilated core: words and counters equal to the golden model."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from sim.memory import MemoryModel
from sw import cli
from sw.compile.encoder_program import EncoderProgram
from sw.convert.convert_encoder import convert_encoder
from sw.driver.encoder import EncoderDevice
from sw.opening import golden_encoder, open_params, open_transport
from sw.plan.sentence import sentence_costs
from sw.verify_encoder import ComparingEncoder, SentenceMismatchError
from tests.unit.encoders import encoder_checkpoint
from tests.unit.golden.encoders import TINY_ENCODER, random_encoder, random_sentence

pytestmark = pytest.mark.rtl

torch.set_num_threads(1)

CONFIG = "mac8-encoder"


@pytest.fixture(scope="module")
def transport():
    with open_transport(open_params(CONFIG), memory="jitter=3,latency=7,seed=1") as opened:
        yield opened


def comparing(transport, model, table="companded") -> ComparingEncoder:
    """Encoder that is compared, on a core that may have run another one."""
    params = open_params(CONFIG)
    program = EncoderProgram(model, params, name=CONFIG, table=table)
    golden = golden_encoder(model, table=table, params=params, batch=params.batch)
    return ComparingEncoder(golden, EncoderDevice(transport, params, program))


def test_a_sentence_batch(transport):
    """Three heads, two layers, a width that is no power of two; one token, less and more chunks."""
    encoder = comparing(transport, random_encoder(seed=2))
    for length in (1, 7, 33, 9):
        encoder.encode(random_sentence(length))
    assert (encoder.sentences, encoder.tokens) == (4, 50)


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({"pooling": "cls", "labels": 0, "layers": 1}, "mttfs"),
        ({"heads": 2, "ffn_width": 200, "labels": 40, "layers": 1}, "integer"),
        ({"heads": 24, "width": 96, "layers": 1}, "signed8"),
    ],
)
def test_random_models(transport, changes, table):
    config = dataclasses.replace(TINY_ENCODER, **changes)
    encoder = comparing(transport, random_encoder(config, seed=7), table)
    encoder.encode(random_sentence(6, config))


def test_a_fault_is_found_where_it_is(transport):
    """A weight that is flipped in memory shows after the matrix that holds it."""
    encoder = comparing(transport, random_encoder(seed=5))
    device = encoder.device
    encoder.encode(random_sentence(3))
    instructions = device.program.sentence(3).programs.rest.instructions
    number, matvec = next((n, i) for n, i in enumerate(instructions) if i["drain"] == 1)
    address = matvec["weight_base"] * device.params.beat_bits // 8 + 8 * 4
    octets = device.program.image[address : address + 64]
    device.transport.load(address, octets ^ np.uint8(0x40))
    with pytest.raises(SentenceMismatchError) as caught:
        encoder.encode(random_sentence(3))
    place = caught.value.difference.place
    assert place is not None and (place.instruction, place.opcode) == (number, "MATVEC")
    assert "rtl differs from golden first at sentence 1: hidden element" in str(caught.value)


def test_cycles_are_those_of_the_model():
    params, tokens = open_params(CONFIG), random_sentence(9)
    program = EncoderProgram(random_encoder(seed=3), params, name=CONFIG)
    with open_transport(params, memory="dram") as opened:
        device = EncoderDevice(opened, params, program)
        before = opened.memory_counts().beats
        device.encode(tokens)
        beats = opened.memory_counts().beats - before
    costs = sentence_costs(program, params, tokens, MemoryModel.parse("dram"))
    assert sum(cost.cycles for cost in costs) == pytest.approx(device.cycles, rel=0.01)
    assert sum(cost.beats for cost in costs) == beats
    for name in ("encoder", "scaler", "memory"):
        predicted, stalled = sum(c.stalls[name] for c in costs), device.counters[f"stall_{name}"]
        assert predicted == pytest.approx(stalled, abs=0.01 * device.cycles)


def test_commands(monkeypatch, capsys, tmp_path):
    """Lines of a text are sentences; who works on words changes no count of events."""
    (tmp_path / "lines.txt").write_text("A good film.\n\nThe plot is not bad!\n")
    convert_encoder(encoder_checkpoint(seed=3)).save(tmp_path / "small.safetensors")
    monkeypatch.chdir(tmp_path)
    records = {}
    for vector, config in (("device", CONFIG), ("host", CONFIG)):
        arguments = ["verify", "small.safetensors", "--config", config, "--text", "lines.txt"]
        arguments += ["--vector", vector, "--tokens", "50", "--json", "-"]
        monkeypatch.setattr(sys, "argv", ["firstspike", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        assert stop.value.code == 0, printed.err
        assert "equal to the golden model: 2 sentences, 14 tokens" in printed.err
        records[vector] = json.loads(printed.out)
    for name in ("spikes", "silent", "integer_events", "steps", "window_steps"):
        assert records["device"]["totals"][name] == records["host"]["totals"][name] > 0
    arguments = ["plan", "small.safetensors", "--config", CONFIG, "--memory", "dram"]
    arguments += ["--tokens", "11", "--measure", "--json", "-"]
    monkeypatch.setattr(sys, "argv", ["firstspike", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    plan = json.loads(printed.out)
    assert plan["cycles"] == pytest.approx(plan["measured"]["cycles"], rel=0.01)
    assert plan["beats"] == plan["measured"]["beats"] > 0
    assert "simulated: " in printed.err
