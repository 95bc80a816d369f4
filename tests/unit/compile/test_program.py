"""Compiled programs make the golden model's tokens; cores that are too small are refused."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Opcode
from sw.compile.device_memory import DeviceMemory
from sw.compile.program import compile_program
from sw.convert.convert import convert
from sw.errors import UserError
from sw.golden.machine import operands
from sw.load.gguf import load_gguf
from sw.models import bundled_model
from tests.unit.compile.programs import (
    assert_tokens_equal,
    small_core,
    small_model,
    with_silent_levels,
)

torch.set_num_threads(1)

TOKENS = [7, 0, 52, 19, 33]

#: Widths that a vector unit of eight elements a cycle can take.
EIGHTS = {"head_width": 24, "ffn_width": 80}


@pytest.fixture(scope="module")
def bundled():
    return convert(load_gguf(bundled_model()))


@pytest.mark.parametrize("name", ["mac8-token", "spike8-token"])
def test_bundled_model(bundled, name):
    params = CoreParams(CONFIGS[name])
    program = compile_program(bundled, params, name=name)
    assert program.context == bundled.config.context
    assert_tokens_equal(program, bundled, params, [1, 302, 511, 0])


@pytest.mark.parametrize("name", ["mac32-token", "mac128-token", "spike32-token"])
def test_wide_cores_run_the_bundled_model(bundled, name):
    # The memory of these has 128 MiB, more than it needs.
    params = CoreParams(CONFIGS[name].replace(memory_beats=1 << 17))
    assert_tokens_equal(compile_program(bundled, params, name=name), bundled, params, [3, 99])


def test_caches_beyond_several_tiles():
    """Forty tokens: three tiles of keys, two groups of values, the second one partial."""
    model, params = small_model(1), small_core()
    tokens = np.random.default_rng(4).integers(0, model.config.vocabulary, 41).tolist()
    assert_tokens_equal(compile_program(model, params, name="x"), model, params, tokens)


@pytest.mark.parametrize("table", [name for name, table in TABLES.items() if table.linear])
def test_every_table(table):
    model, params = small_model(2), small_core()
    program = compile_program(model, params, name="x", table=table)
    assert program.table == table
    assert_tokens_equal(program, model, params, TOKENS)


@pytest.mark.parametrize("core", [{}, {"tile_lanes": 8}, {"lanes": 32, "tile_lanes": 64}])
@pytest.mark.parametrize("tied", [True, False])
def test_silent_levels_with_row_sums(core, tied):
    model = with_silent_levels(small_model(3, tied_head=tied), "mttfs", 6)
    params = small_core(**core)
    program = compile_program(model, params, name="x", table="mttfs")
    assert_tokens_equal(program, model, params, TOKENS)


@pytest.mark.parametrize(
    ("model", "core"),
    [
        ({"head_width": 64, "heads": 6, "context": 50}, {"max_inputs": 384, "max_outputs": 1536}),
        ({"head_width": 64, "heads": 6, "context": 50}, {"max_inputs": 384, "tile_lanes": 16}),
        ({"head_width": 44}, {"max_inputs": 288, "lanes": 16}),
        ({"head_width": 32, "rope_interleaved": False}, {"max_inputs": 192, "lanes": 32}),
        (
            {"head_width": 20, "rope_interleaved": False, "tied_head": False},
            {"integrator": "spike"},
        ),
        ({"head_width": 10, "ffn_width": 70, "layers": 1}, {"vector_width": 2}),
        (
            {"head_width": 24, "ffn_width": 80, "vocabulary": 300},
            {"vector_width": 8, "max_inputs": 160, "best": 1},
        ),
        ({"vocabulary": 5}, {"vector_width": 1, "axi_data_width": 128, "best": 8}),
        ({"head_width": 20}, {"lanes": 16, "tile_lanes": 128, "max_outputs": 128}),
    ],
)
def test_shapes(model, core):
    made = small_model(5, **model)
    params = small_core(**{"vector_words": 4096} | core)
    tokens = [token % made.config.vocabulary for token in TOKENS]
    assert_tokens_equal(compile_program(made, params, name="x"), made, params, tokens)


def test_operands_and_places_are_aligned():
    params = small_core(axi_data_width=128)
    program = compile_program(small_model(6), params, name="x")
    assert program.address % 64 == 0
    for instruction in program.instructions:
        if instruction.opcode == Opcode.MATVEC:
            assert instruction["weight_base"] % params.alignment == 0
        if instruction.opcode not in (Opcode.LOAD, Opcode.END):
            count = program.context if instruction["count_by_position"] else instruction["count"]
            for name in operands(instruction, count):
                assert instruction[name] % params.vector_width == 0


def test_chunks_encode_once():
    params = small_core()
    program = compile_program(small_model(7, vocabulary=200), params, name="x")
    matrices = [i for i in program.instructions if i.opcode == Opcode.MATVEC]
    logits = [i for i in matrices if i["drain"] == Drain.LOGITS]
    assert [i["count"] for i in logits] == [96, 96, 8]
    assert [i["final"] for i in logits] == [0, 0, 1]
    encoded = [i for i in program.instructions if i.opcode == Opcode.ENCODE]
    assert sum(not i["uncounted"] for i in encoded) == 4 * 2 + 1


def test_a_tied_head_is_laid_out_once():
    params = small_core()
    tied = compile_program(small_model(8, vocabulary=999), params, name="x")
    untied = compile_program(small_model(8, vocabulary=999, tied_head=False), params, name="x")
    assert len(untied.image) - len(tied.image) > 999 * 45
    loads = [i for i in tied.instructions if i["index"] == Index.TOKEN]
    assert loads[0]["nibbles"] and loads[0]["count"] == 45


@pytest.mark.parametrize(
    ("core", "context", "expected"),
    [
        ({}, None, 41),
        ({}, 9, 9),
        ({}, 99, 41),
        ({"max_inputs": 128, "max_outputs": 47}, None, 32),
        ({"vector_words": 1024}, None, 41),
        ({"vector_words": 768}, None, 32),
        ({"vector_words": 768}, 11, 11),
    ],
)
def test_context_is_the_least_that_all_allow(core, context, expected):
    params = small_core(**core)
    assert compile_program(small_model(0), params, name="x", context=context).context == expected


@pytest.mark.parametrize(
    ("model", "core", "arguments", "message"),
    [
        ({}, {"vector_words": 0}, {}, "x has no vector memory.*vector_words"),
        ({}, {"vector_words": 256}, {}, r"needs vector_words of \d+, configuration x has 256"),
        (
            {"ffn_width": 40000},
            {"max_inputs": 40000},
            {},
            r"needs vector_words of \d+, configuration x has 2048",
        ),
        (
            {},
            {"memory_beats": 4096},
            {},
            r"need memory_beats of \d+ or more, configuration x has 4096",
        ),
        ({}, {"max_inputs": 96}, {}, "attn_output has 120 inputs.*max_inputs of 120 or more"),
        ({"ffn_width": 70}, {}, {}, "vector_width 4, which must divide a feed-forward part of 70"),
        ({"head_width": 18}, {}, {}, "must divide heads of 18"),
        (
            {"head_width": 24, "ffn_width": 80},
            {"tile_lanes": 8, "vector_width": 8},
            {},
            "must divide half tiles of 4",
        ),
        ({}, {}, {"table": "octave"}, "code table must be one of"),
        ({}, {}, {"table": "nothing"}, "code table must be one of .*'nothing'"),
        ({}, {}, {"context": 0}, "context must be at least 1 token, not 0"),
    ],
)
def test_what_does_not_fit_is_refused(model, core, arguments, message):
    if core.get("vector_words") == 0:
        core = core | {"memory": "onchip"}
    made, params = small_model(0, **model), small_core(**core)
    with pytest.raises(UserError, match=message) as refused:
        compile_program(made, params, name="x", **arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("exponent", [-129, 128])
def test_wide_exponents_are_refused(exponent):
    model = small_model(0)
    matrix = model.matrices["layers.1.gate_up"]
    exponents = matrix.exponent.copy()
    exponents[3] = exponent
    wide = dataclasses.replace(matrix, exponent=exponents)
    model = dataclasses.replace(model, matrices=model.matrices | {"layers.1.gate_up": wide})
    with pytest.raises(UserError, match=f"layers.1.gate_up has a row exponent of {exponent}"):
        compile_program(model, small_core(), name="x")


def test_smollm2_fits_its_configurations():
    """Vector memory, context and batch of the large model, without its weights."""
    shape = {
        "width": 576,
        "ffn_width": 1536,
        "heads": 9,
        "kv_heads": 3,
        "head_width": 64,
        "layers": 1,
        "vocabulary": 4999,
        "context": 2048,
    }
    model = small_model(0, **shape)
    for name, context, batch in (("mac32-token", 1056, 1), ("mac128-token", 1536, 16)):
        program = compile_program(model, CoreParams(CONFIGS[name]), name=name)
        assert (program.context, program.batch) == (context, batch)
    # Shorter texts leave room for more tokens at once.
    program = compile_program(model, CoreParams(CONFIGS["mac32-token"]), name="x", context=500)
    assert program.batch == 3


def test_memory_that_is_just_enough():
    with pytest.raises(UserError) as refused:
        compile_program(small_model(0), small_core(memory_beats=4096), name="x")
    needed = int(str(refused.value).split("memory_beats of ")[1].split()[0])
    core = small_core(memory_beats=needed)
    program = compile_program(small_model(0), core, name="x")
    assert 0 <= needed * core.beat_bits // 8 - len(program.image) < core.beat_bits // 8
    with pytest.raises(UserError, match=f"{needed} or more"):
        compile_program(small_model(0), small_core(memory_beats=needed - 1), name="x")


def test_addresses_end_at_four_gibibytes():
    memory = DeviceMemory()
    memory.size = (1 << 32) - 256
    assert memory.place(np.zeros(128, np.uint8)) == (1 << 32) - 256
    with pytest.raises(UserError, match="more than the 4 GiB"):
        memory.place(np.zeros(129, np.uint8))
