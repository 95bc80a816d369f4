"""Programs of encoders: the interpreter against the golden model, hazards, limits."""

import dataclasses

import pytest
import torch

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import COUNTERS
from sw.compile.encoder_program import EncoderProgram
from sw.compile.hazards import check_hazards
from sw.errors import UserError
from sw.golden.encoder import GoldenEncoder
from sw.golden.program import Interpreter
from sw.verify import MEASURED
from tests.unit.golden.encoders import TINY_ENCODER, random_encoder, random_sentence

SMALL = CONFIGS["mac8-encoder"]


def encode(program, params, tokens):
    """Words and counters of a sentence, as the interpreter finds them."""
    sentence = program.sentence(len(tokens))
    memory = program.memory()
    octets = memory.view("uint8")
    octets[program.address :][: len(sentence.octets)] = sentence.octets
    interpreter = Interpreter(params, memory)
    totals = dict.fromkeys(COUNTERS, 0)
    for token, embedding in zip(tokens, sentence.programs.embeddings, strict=True):
        interpreter.run(embedding.address, token=token, position=0)
        check_hazards(embedding.instructions, params, position=0, token=token)
    interpreter.run(sentence.programs.rest.address, token=0, position=0)
    check_hazards(sentence.programs.rest.instructions, params, position=0)
    for name, count in interpreter.counters.items():
        totals[name] += count
    return interpreter.words, sentence.vectors, totals


def golden_for(model, params, table):
    config = params.config
    return GoldenEncoder(
        model,
        table=table,
        lanes=params.lanes,
        tile_lanes=params.tile_lanes,
        integrator=config.integrator,
        memory=config.memory,
        hole=params.hole,
        batch=params.batch,
    )


@pytest.mark.parametrize(
    ("length", "changes", "table", "model"),
    [
        (1, {}, "companded", {}),
        (7, {"batch": 3, "vector_width": 2}, "companded", {"pooling": "cls", "labels": 0}),
        (10, {}, "mttfs", {}),
        (33, {}, "companded", {"layers": 1}),
        (5, {"batch": 1, "integrator": "spike"}, "integer", {"labels": 40}),
    ],
)
def test_a_sentence_equals_the_golden_model(length, changes, table, model):
    config = dataclasses.replace(TINY_ENCODER, **model)
    converted = random_encoder(config, seed=length)
    params = CoreParams(SMALL.replace(**changes))
    program = EncoderProgram(converted, params, name="mine", table=table)
    tokens = random_sentence(length)
    words, vectors, counters = encode(program, params, tokens)
    golden = golden_for(converted, params, table)
    hidden, pooled, logits = golden.encode(tokens)
    for token in range(length):
        first = vectors.residual + token * vectors.residual_stride
        assert torch.equal(words[first : first + config.width], hidden[token]), token
    assert torch.equal(words[vectors.pooled :][: config.width], pooled)
    assert torch.equal(words[vectors.logits :][: config.labels], logits)
    for name in COUNTERS:
        if name not in MEASURED:
            assert counters[name] == golden.counters[name], name


def test_sentences_follow_each_other():
    """A shorter one after a longer one, with its caches in place."""
    model, params = random_encoder(seed=9), CoreParams(SMALL)
    program = EncoderProgram(model, params, name="mine", context=12)
    assert program.context == 12 and program.sentence(5) is program.sentence(5)
    golden = golden_for(model, params, "companded")
    memory = program.memory()
    interpreter = Interpreter(params, memory)
    for length in (12, 3):
        sentence, tokens = program.sentence(length), random_sentence(length)
        memory.view("uint8")[program.address :][: len(sentence.octets)] = sentence.octets
        for token, embedding in zip(tokens, sentence.programs.embeddings, strict=True):
            interpreter.run(embedding.address, token=token, position=0)
        interpreter.run(sentence.programs.rest.address, token=0, position=0)
        logits = interpreter.words[sentence.vectors.logits :][: TINY_ENCODER.labels]
        assert torch.equal(logits, golden.encode(tokens).logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": False}, "configuration mine runs no encoders"),
        ({"vector_width": 8, "batch": 1}, None),
        ({"tile_lanes": 64, "max_outputs": 4096}, "queries of 96 rows must be whole tiles"),
        ({"max_inputs": 64}, "embedding has 96 inputs, configuration mine takes at most 64"),
        ({"vector_words": 1024}, "a sentence of one token needs vector_words of"),
        ({"memory_beats": 1 << 13}, "need memory_beats of"),
    ],
)
def test_a_core_that_is_too_small_is_refused(changes, message):
    params = CoreParams(SMALL.replace(**changes))
    model = random_encoder(seed=1)
    if message is None:
        assert EncoderProgram(model, params, name="mine").context == TINY_ENCODER.context
        return
    with pytest.raises(UserError, match=message):
        EncoderProgram(model, params, name="mine").sentence(1)


def test_a_context_of_no_token_is_refused():
    with pytest.raises(UserError, match="context must be at least 1 token, not 0"):
        EncoderProgram(random_encoder(), CoreParams(SMALL), name="mine", context=0)


def test_an_epsilon_that_fits_no_register_is_refused():
    config = dataclasses.replace(TINY_ENCODER, norm_epsilon=10.0)
    with pytest.raises(UserError, match="embedding_norm has an epsilon of 16106127360 units"):
        EncoderProgram(random_encoder(config), CoreParams(SMALL), name="mine")


def test_an_encoder_needs_vector_memory():
    with pytest.raises(ValueError, match="an encoder needs vector_words"):
        CoreParams(CoreConfig(encoder=True))
