"""Sentences on a core made of software: what the driver reads, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.registers import COUNTERS
from sw.compile.encoder_program import EncoderProgram
from sw.driver.encoder import EncoderDevice
from sw.driver.golden_transport import GoldenTransport
from sw.driver.result import DeviceError
from sw.errors import UserError
from sw.golden.encoder import GoldenEncoder
from sw.opening import golden_encoder
from sw.verify_encoder import ComparingEncoder, SentenceMismatchError
from tests.unit.golden.encoders import TINY_ENCODER, random_encoder, random_sentence

PARAMS = CoreParams(CONFIGS["mac8-encoder"])


@pytest.fixture(scope="module")
def model():
    return random_encoder(seed=6)


@pytest.fixture
def device(model):
    program = EncoderProgram(model, PARAMS, name="mac8-encoder", context=12)
    return EncoderDevice(GoldenTransport(PARAMS), PARAMS, program)


def test_words_and_counters(device, model):
    golden = golden_encoder(model, table="companded", params=PARAMS, batch=PARAMS.batch)
    comparing = ComparingEncoder(golden, device)
    for length in (3, 12, 3):
        comparing.encode(random_sentence(length))
    assert (comparing.sentences, comparing.tokens) == (3, 18)
    assert set(device.counters) == set(COUNTERS)


def test_whatever_differs_is_found(device):
    """A word of the sentence, and only then a counter."""
    other = golden_encoder(
        random_encoder(seed=7), table="companded", params=PARAMS, batch=PARAMS.batch
    )
    with pytest.raises(SentenceMismatchError, match="sentence 0: hidden element 0 expected"):
        ComparingEncoder(other, device).encode([1, 2])
    fewer = GoldenEncoder(device.program._model, lanes=8, tile_lanes=16, memory="axi", batch=1)
    with pytest.raises(SentenceMismatchError, match="sentence 0: rows_read expected") as caught:
        ComparingEncoder(fewer, device).encode([1, 2])
    assert caught.value.difference.place is None


def test_one_program_is_loaded_at_a_time(device):
    loads = []
    load = device.transport.load
    device.transport.load = lambda address, octets: (loads.append(address), load(address, octets))
    for length in (2, 2, 3):
        device.encode(random_sentence(length))
    assert loads == [device.program.address] * 2


@pytest.mark.parametrize(
    ("tokens", "message"),
    [([], "1 to 12 tokens, not 0"), ([1] * 13, "1 to 12 tokens, not 13"), ([53], "0..52, not 53")],
)
def test_what_is_no_sentence_is_refused(device, tokens, message):
    with pytest.raises(UserError, match=message):
        device.encode(tokens)


def test_a_program_for_another_core_is_refused(model):
    program = EncoderProgram(model, PARAMS, name="mac8-encoder")
    other = CoreParams(PARAMS.config.replace(best=2))
    with pytest.raises(UserError, match="the program was compiled for configuration"):
        EncoderDevice(GoldenTransport(other), other, program)


def test_a_program_that_stops_is_told(device):
    sentence = device.load(2)
    device.transport.load(sentence.programs.rest.address, np.full(64, 255, np.uint8))
    with pytest.raises(DeviceError, match="the core stopped at instruction 0"):
        device.encode([1, 2])


def test_without_a_head_there_are_no_logits(model):
    bare = random_encoder(dataclasses.replace(TINY_ENCODER, labels=0), seed=2)
    program = EncoderProgram(bare, PARAMS, name="mac8-encoder")
    found = EncoderDevice(GoldenTransport(PARAMS), PARAMS, program).encode([4, 5, 6])
    assert found.logits.numel() == 0 and found.pooled.shape == (96,)
    assert torch.equal(found.pooled, GoldenEncoder(bare).encode([4, 5, 6]).pooled)
