"""Whole tokens on Verilated cores: logits and counters equal to the golden model."""

import json
import sys

import numpy as np
import pytest
import torch

from hw.spec.params import INTEGRATORS
from sw import cli
from sw.compile.program import compile_program
from sw.driver.decoder import TokenDecoder
from sw.driver.token import TokenDevice
from sw.golden.decoder import GoldenModel
from sw.opening import golden_model, open_model, open_params, open_transport
from sw.verify_token import ComparingDecoder, TokenMismatchError
from tests.unit.compile.programs import small_model, with_silent_levels

pytestmark = pytest.mark.rtl

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=INTEGRATORS)
def config(request):
    return f"{request.param}8-token"


@pytest.fixture(scope="module")
def transport(config):
    with open_transport(open_params(config), memory="jitter=3,latency=7,seed=1") as opened:
        yield opened


def comparing(transport, config, model, table="companded") -> ComparingDecoder:
    """Decoder of a model that is compared, on a core that may have run another one."""
    params = open_params(config)
    program = compile_program(model, params, name=config, table=table)
    device = TokenDevice(transport, params, program)
    golden: GoldenModel = golden_model(model, table=table, params=params, batch=program.batch)
    return ComparingDecoder(golden, TokenDecoder(device))


def test_bundled_model(transport, config):
    decoder = comparing(transport, config, open_model(None))
    token = 5
    for _ in range(6):
        token = int(decoder.step(token).argmax())


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({}, "companded"),
        ({"rope_interleaved": False, "tied_head": False, "head_width": 32}, "signed8"),
        ({"kv_heads": 3, "head_width": 40, "layers": 1}, "integer"),
    ],
)
def test_random_models(transport, config, changes, table):
    """Heads that share keys, odd sizes, more tokens than a tile of keys has."""
    decoder = comparing(transport, config, small_model(3, **changes), table)
    for token in np.random.default_rng(1).integers(0, 53, 11).tolist():
        decoder.step(token)


@pytest.mark.parametrize("changes", [{}, {"kv_heads": 1}, {"heads": 3, "kv_heads": 3}])
def test_prompts(transport, config, changes):
    """In batches, and tokens one by one behind them."""
    decoder = comparing(transport, config, small_model(6, **changes))
    assert decoder.batch > 1
    tokens = np.random.default_rng(2).integers(0, 53, 2 * decoder.batch + 1).tolist()
    decoder.prefill(tokens)
    assert decoder.decoder.position == len(tokens) == decoder.decoder.device.length


def test_prompt_of_the_bundled_model(transport, config):
    decoder = comparing(transport, config, open_model(None))
    tokens = np.random.default_rng(3).integers(0, 512, 5 * decoder.batch).tolist()
    token = int(decoder.prefill(tokens)[-1].argmax())
    decoder.step(token)


def test_silent_level(transport, config):
    model = with_silent_levels(small_model(4), "mttfs", 9)
    decoder = comparing(transport, config, model, "mttfs")
    for token in (1, 50, 22):
        decoder.step(token)


def test_a_fault_is_found_where_it_is(transport, config):
    """A weight that is flipped in memory shows after the matrix that holds it."""
    decoder = comparing(transport, config, open_model(None))
    device = decoder.decoder.device
    decoder.step(5)
    load = device.load
    number, matvec = next(
        (n, i) for n, i in enumerate(device.program.instructions) if i["drain"] == 1 and n > 40
    )
    address = matvec["weight_base"] * device.params.beat_bits // 8 + 8 * 4

    def load_with_fault():
        load()
        octets = device.program.image[address : address + 64]
        device.transport.load(address, octets ^ 0x40)

    device.load = load_with_fault
    octets = device.program.image[address : address + 64]
    device.transport.load(address, octets ^ 0x40)
    with pytest.raises(TokenMismatchError) as caught:
        decoder.step(9)
    difference = caught.value.difference
    assert difference.token == 1
    assert difference.place is not None
    assert (difference.place.instruction, difference.place.opcode) == (number, "MATVEC")
    assert f"after instruction {number} (MATVEC)" in str(caught.value)
    device.load = load
    device.load()


def run(monkeypatch, capsys, *arguments):
    """Run the command line, which must succeed; return its standard output."""
    monkeypatch.setattr(sys, "argv", ["firstspike", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    return printed.out


def test_commands(config, monkeypatch, capsys):
    """Who works on vectors, host or device, changes nothing but the time."""
    printed = run(monkeypatch, capsys, "verify", "--config", config, "--tokens", "2")
    assert "4 tokens made by the device" in printed
    runs = {}
    for vector in ("device", "host"):
        options = ["--config", config, "--backend", "rtl", "--vector", vector, "--tokens", "3"]
        runs[vector] = json.loads(run(monkeypatch, capsys, "generate", *options, "--json", "-"))
    for name in ("tokens", "text"):
        assert runs["device"][name] == runs["host"][name]
    for name in ("spikes", "silent", "integer_events", "steps", "rows_read", "window_steps"):
        assert runs["device"]["counters"][name] == runs["host"]["counters"][name]
    assert runs["device"]["counters"]["token_cycles"] > runs["device"]["counters"]["cycles"]
