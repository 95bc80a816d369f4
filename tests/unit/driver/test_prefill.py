"""Prompts in batches, on a core made of software."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.program import ATTENTION, Opcode
from hw.spec.registers import COUNTERS
from sw.commands.plan import TEXT
from sw.compile.program import compile_program
from sw.driver.decoder import TokenDecoder, batches
from sw.driver.golden_transport import GoldenTransport
from sw.driver.token import TokenDevice
from sw.errors import UserError
from sw.generate import first_token, generate
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model
from sw.sample import Sampler
from sw.verify_token import ComparingDecoder, TokenMismatchError
from tests.unit.compile.programs import (
    best_of,
    golden_of,
    small_core,
    small_model,
    with_silent_levels,
)

torch.set_num_threads(1)

MODEL = small_model(9)
PARAMS = small_core(batch=5, vector_words=4096)
PROMPT = np.random.default_rng(1).integers(0, 53, 17).tolist()


def device_of(model=MODEL, params=PARAMS, **options) -> TokenDevice:
    program = compile_program(model, params, name="small", **options)
    return TokenDevice(GoldenTransport(params), params, program)


def assert_prompts_equal(model, params, tokens, **options) -> TokenDevice:
    """Read by the device and the golden model, in the same batches."""
    device = device_of(model, params, **options)
    assert device.program.batch > 1
    golden = golden_of(model, params, table=device.program.table, batch=device.program.batch)
    comparing = ComparingDecoder(golden, TokenDecoder(device))
    comparing.prefill(tokens)
    counted = {name: count for name, count in golden.counters.items() if count is not None}
    found = comparing.decoder.counters | {"bound_cycles": counted["bound_cycles"]}
    assert {name: found[name] for name in counted} == counted
    return device


def test_batches():
    assert [list(batch) for batch in batches(range(8), 3)] == [[0, 1, 2], [3, 4, 5], [6], [7]]
    assert [list(batch) for batch in batches([4, 5], 1)] == [[4], [5]]
    assert list(batches([], 3)) == []


@pytest.mark.parametrize(
    ("model", "core"),
    [
        ({}, {}),
        ({}, {"batch": 2}),  # query heads of a key head apart
        ({}, {"batch": 3, "hole": 1}),  # one set of vectors
        ({}, {"batch": 7, "tile_lanes": 8}),  # values in several tiles
        ({"heads": 3, "kv_heads": 3}, {"batch": 9, "max_outputs": 99, "tile_lanes": 8}),
        ({"tied_head": False, "vocabulary": 200}, {"integrator": "spike", "vector_width": 2}),
        (
            {"head_width": 24, "ffn_width": 80, "rope_interleaved": False},
            {"vector_width": 8, "max_inputs": 160},
        ),
    ],
)
def test_logits_and_counters(model, core):
    made = small_model(3, **model)
    params = small_core(**{"batch": 5, "vector_words": 8192} | core)
    assert_prompts_equal(made, params, [token % made.config.vocabulary for token in PROMPT])


@pytest.mark.parametrize("table", ["companded", "mttfs"])
def test_silent_levels_and_tables(table):
    model = with_silent_levels(small_model(3), "mttfs", 6)
    assert_prompts_equal(model, PARAMS, PROMPT[:11], table=table)


def test_a_whole_context():
    """The last batch ends where the context does, behind a batch that began anywhere."""
    model = small_model(4, context=38)
    device = assert_prompts_equal(model, PARAMS, (3 * PROMPT)[:38])
    assert device.length == 38
    with pytest.raises(UserError, match="position 38 is beyond the context of 38 tokens"):
        device.prefill(PROMPT[:5], 34)
    golden = golden_of(model, PARAMS)
    tokens = (3 * PROMPT)[:31] + [1, 2, 3, 4, 5]
    assert device.prefill(tokens[31:], 31) == best_of(golden.prefill(tokens)[-1], 4)


def test_tokens_go_on_behind_a_prompt():
    golden = golden_of(MODEL, PARAMS)
    tokens = generate(golden, PROMPT, tokens=9, sampler=Sampler())
    decoder, seen = TokenDecoder(device_of()), []
    made = generate(
        decoder, PROMPT, tokens=9, sampler=Sampler(), progress=lambda *done: seen.append(done)
    )
    assert list(made) == list(tokens)
    assert seen == [(n, 17) for n in (5, 10, 15, 16, 17)]
    assert decoder.position == 17 + 8


def test_a_row_is_read_once_for_all_tokens():
    together, alone = TokenDecoder(device_of()), TokenDecoder(device_of())
    together.prefill(PROMPT[:5])
    for token in PROMPT[:5]:
        alone.step(token)
    events = "spikes", "silent", "integer_events"
    # Only the last token meets the head.
    head = 4 * MODEL.config.width
    counts = [sum(decoder.counters[name] for name in events) for decoder in (together, alone)]
    assert counts[0] == counts[1] - head
    read = [first_token(d.counters, PARAMS)["bytes_read"] for d in (together, alone)]
    assert 4 * read[0] < read[1]
    program = together.device.program
    tiles = []
    for instructions in (program.instructions, program.prefill.rest.instructions):
        products = [i for i in instructions if i.opcode == Opcode.MATVEC]
        weights = [i for i in products if i["drain"] not in ATTENTION]
        assert len({i["weight_base"] for i in weights}) == len(weights)
        tiles.append(sum(i["tiles"] for i in weights))
    assert tiles[0] == tiles[1]


def test_batches_as_large_as_vector_memory_allows():
    tokens = [
        compile_program(small_model(1), small_core(batch=6, vector_words=words), name="x").batch
        for words in (1100, 1400, 2100, 4096)
    ]
    assert tokens == [1, 2, 5, 6]


def test_what_a_batch_saves_of_the_bundled_model():
    """The numbers of docs/program.md."""
    model, params = open_model(None), CoreParams(CONFIGS["mac8-token"])
    tokens = Tokenizer.from_spec(model.tokenizer_spec).encode(TEXT)[:64]
    read = {}
    for batch in (8, 1):
        golden = golden_of(model, params, batch=batch)
        for part in batches(tokens, batch):
            golden.prefill(part, last_only=True)
        read[batch] = golden.counters["beats_read"], golden.counters["bound_cycles"]
    assert compile_program(model, params, name="mac8-token").batch == 8
    assert read == {8: (341888, 1866032), 1: (2569136, 2569136)}


@pytest.mark.parametrize("count", [0, 1, 4, 6])
def test_other_numbers_of_tokens(count):
    with pytest.raises(UserError, match=f"makes 5 tokens at once, not {count}: make them one by"):
        device_of().prefill(PROMPT[:count], 0)
    with pytest.raises(UserError, match="makes 1 tokens at once"):
        device_of(params=small_core()).prefill(PROMPT[:2], 0)


def test_a_wrong_token_leaves_the_others():
    device = device_of()
    device.prefill(PROMPT[:5], 0)
    with pytest.raises(UserError, match="token ids must be 0..52, not 53"):
        device.prefill([1, 2, 3, 4, 53], 5)
    assert device.length == 5
    with pytest.raises(UserError, match="position must be 0..5, not 6"):
        device.prefill(PROMPT[:5], 6)


class Wrong(GoldenTransport):
    """A core whose vector memory differs behind an instruction of a program."""

    def _run(self, interpreter):
        observe = interpreter._observe

        def spoil(instruction, count, encoded):
            if instruction.opcode == Opcode.GATE and instruction["vector"] == 3:
                interpreter.words[777] += 1

        interpreter._observe = spoil
        try:
            return super()._run(interpreter)
        finally:
            interpreter._observe = observe


def test_a_difference_is_located_in_a_batch():
    program = compile_program(MODEL, PARAMS, name="small")
    device = TokenDevice(Wrong(PARAMS), PARAMS, program)
    comparing = ComparingDecoder(
        golden_of(MODEL, PARAMS, batch=program.batch), TokenDecoder(device)
    )
    comparing.prefill(PROMPT[:5])
    comparing.decoder.device = Changed(device)
    with pytest.raises(TokenMismatchError, match="first at token 9: logit of") as caught:
        comparing.prefill(PROMPT[5:10])
    place = caught.value.difference.place
    first = next(
        number
        for number, instruction in enumerate(program.prefill.rest.instructions)
        if instruction.opcode == Opcode.GATE and instruction["vector"] == 3
    )
    assert dataclasses.astuple(place)[:3] == (first, "GATE", 777)
    assert place.got == place.expected + 1
    # All of the program is back in its place.
    device.load()
    assert len(device.prefill(PROMPT[:5], 0)) == PARAMS.best


class Changed:
    """A device whose smallest logit is changed on its way."""

    def __init__(self, device: TokenDevice):
        self._device = device

    def __getattr__(self, name):
        return getattr(self._device, name)

    def prefill(self, tokens, position):
        best = self._device.prefill(tokens, position)
        return [*best[:-1], best[-1]._replace(logit=best[-1].logit - 1)]


def test_counters_of_the_device_are_those_of_the_batch():
    device = device_of()
    device.prefill(PROMPT[:5], 0)
    batch = dict(device.counters)
    device.step(PROMPT[5], 5)
    assert batch.keys() == set(COUNTERS) and batch["spikes"] > 3 * device.counters["spikes"]
