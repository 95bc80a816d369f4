"""Single instructions, against slow transcriptions of ``docs/program.md``."""

import math

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W8
from hw.spec.luts import PHI
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import INSTRUCTION_BYTES, Drain, Index, Instruction, Opcode
from hw.spec.registers import REGISTERS, Error
from sw.compile.layout import pack_words
from sw.golden.codes import with_fixed_scale
from sw.golden.machine import ProgramError
from sw.golden.program import NOTHING, Interpreter
from tests.unit.golden.models import random_matrix
from tests.unit.golden.reference import exact_saturate, exact_shift, slow_cache, slow_code

PARAMS = CoreParams(
    CoreConfig(
        lanes=8,
        memory="axi",
        memory_beats=4096,
        max_inputs=96,
        max_outputs=40,
        batch=3,
        vector_words=256,
        best=3,
        encoder=True,
    )
)
PROGRAM = 8192
COMPANDED = REGISTERS["mode"].pack(table=TABLES["companded"].number, format=W8.number)
QUANTIZER = REGISTERS["quantizer"].pack(constant=367, threshold=4)


@pytest.fixture
def memory():
    """Random bytes below the program."""
    octets = np.zeros(PARAMS.memory_beats * 4, np.uint8)
    octets[:PROGRAM] = np.random.default_rng(2).integers(0, 256, PROGRAM)
    return octets.view(np.uint32)


@pytest.fixture
def machine(memory):
    """Random words in vector memory."""
    interpreter = Interpreter(PARAMS, memory)
    words = np.random.default_rng(3).integers(-(1 << 23) + 1, 1 << 23, PARAMS.vector_words)
    interpreter._machine.words[:] = torch.from_numpy(words)
    return interpreter


def octets_of(interpreter: Interpreter) -> np.ndarray:
    return interpreter._machine._octets


def words_of(interpreter: Interpreter) -> list[int]:
    return interpreter._machine.words.tolist()


def run(interpreter: Interpreter, *instructions: Instruction, token=0, position=0) -> None:
    program = b"".join(i.encode() for i in (*instructions, Instruction(Opcode.END)))
    octets_of(interpreter)[PROGRAM : PROGRAM + len(program)] = np.frombuffer(program, np.uint8)
    interpreter.run(PROGRAM, token=token, position=position)


def load(**operands) -> Instruction:
    return Instruction(Opcode.LOAD, {"size": 1, "inner": 64, "inner_stride": 1} | operands)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("index", list(Index))
def test_load_walks_runs_from_a_moving_origin(machine, size, index):
    strides = {"stride_high": 700, "stride_low": 3, "inner_stride": 5, "outer_stride": 101}
    place = {"address": 9, "inner": 7, "shift": 2, "index": index}
    before = words_of(machine)
    run(machine, load(size=size, target=20, count=17, **place, **strides), token=6, position=9)
    i = {Index.NONE: 0, Index.TOKEN: 6, Index.POSITION: 9}[index]
    origin = 9 + i // 4 * 700 + i % 4 * 3
    octets = octets_of(machine).tobytes()
    for j in range(17):
        address = origin + j // 7 * 101 + j % 7 * 5
        expected = int.from_bytes(octets[address : address + size], "little", signed=True)
        assert words_of(machine)[20 + j] == expected
    assert words_of(machine)[:20] == before[:20] and words_of(machine)[37:] == before[37:]


def test_load_of_nibbles_and_by_position(machine):
    run(machine, load(nibbles=1, count_by_position=1, address=30, target=8), position=12)
    octets = octets_of(machine)[30:43] ^ 8
    assert words_of(machine)[8:21] == octets.view(np.int8).tolist()


@pytest.mark.parametrize("exponent", [-20, -3, 30])
def test_embed(machine, exponent):
    before = words_of(machine)
    before[0:45] = [value >> 16 for value in before[0:45]]  # of 8 bits
    before[48:50], before[52] = [-127, 33], exponent
    machine._machine.words[:] = torch.tensor(before)
    operands = {"a": 0, "b": 48, "c": 52, "target": 100, "count": 45, "constant": 8}
    run(machine, Instruction(Opcode.EMBED, operands))
    expected = []
    for j in range(45):
        product, k = before[j] * before[48 + j // 32], -(exponent + 8)
        expected.append(exact_saturate(exact_shift(product, min(k, 62)), 24))
    assert words_of(machine)[100:145] == expected
    assert words_of(machine)[145:] == before[145:]


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotate_turns_heads_in_place(machine, interleaved):
    machine._machine.words[:96] >>= 2
    machine._machine.words[96:128] >>= 8  # cosines and sines of 16 bits
    before = words_of(machine)
    operands = {"a": 4, "b": 112, "c": 96, "count": 3, "inner": 11, "interleaved": interleaved}
    run(machine, Instruction(Opcode.ROTATE, operands))
    expected = list(before)
    for head in range(3):
        for pair in range(11):
            first = 4 + 22 * head + (2 * pair if interleaved else pair)
            second = first + (1 if interleaved else 11)
            a, b, cos, sin = before[first], before[second], before[96 + pair], before[112 + pair]
            expected[first] = exact_saturate(exact_shift(a * cos - b * sin, 14), 24)
            expected[second] = exact_saturate(exact_shift(a * sin + b * cos, 14), 24)
    assert words_of(machine) == expected


@pytest.mark.parametrize("keys", [0, 1])
def test_keep_writes_codes_and_scales_and_nothing_else(machine, keys):
    operands = {
        **{"a": 12, "count": 51, "inner": 32, "inner_stride": 4, "outer_stride": 400},
        **{"address": 1000, "index": Index.POSITION, "shift": 2, "stride_high": 900},
        **{"stride_low": 1, "scales": 5000, "keys": keys, "mantissas": 3000 * keys},
    }
    before = octets_of(machine).copy()
    run(machine, Instruction(Opcode.KEEP, operands), position=6)
    codes, m, e = slow_cache(words_of(machine)[12:63])
    for j, code in enumerate(codes):
        before[1000 + 900 + 2 + j // 32 * 400 + j % 32 * 4] = (code & 255) ^ 8
    if keys:
        before[[3902, 4302]] = m
    before[[5012, 5013]] = m, e & 255
    assert octets_of(machine)[:PROGRAM].tolist() == before[:PROGRAM].tolist()


def matrix_in(interpreter: Interpreter, rows: int, inputs: int):
    weights = random_matrix(np.random.default_rng(8), rows, inputs, W8)
    words = pack_words(weights, PARAMS.lanes, parts=1, sums=False).reshape(-1)
    octets_of(interpreter)[: words.nbytes] = words.view(np.uint8)
    return weights


CODING = {"mode": COMPANDED, "quantizer": QUANTIZER, "inputs": 40}
ENCODE = Instruction(Opcode.ENCODE, CODING)


def matvec(**operands) -> Instruction:
    return Instruction(Opcode.MATVEC, CODING | {"vectors": 1, "count": 11, "tiles": 3} | operands)


def test_residual_is_added_in_place(machine):
    matrix_in(machine, 11, 40)
    before = words_of(machine)
    normalize = Instruction(Opcode.NORMALIZE, {"a": 0, "count": 40})
    operands = {"drain": Drain.RESIDUAL, "a": 60, "b": 80, "target": 60, "constant": 30}
    machine._machine.words[80:91] = torch.arange(-5, 6)
    run(machine, normalize, ENCODE, matvec(**operands))
    assert words_of(machine)[71:80] == before[71:80]
    changed = words_of(machine)[60:71]
    assert changed != before[60:71]
    run(machine, matvec(**operands | {"constant": 200}))  # all results round to 0
    assert words_of(machine)[60:71] == changed


def test_largest_logits_of_several_chunks(machine):
    """Equal rows give equal logits: the lower id comes first."""
    weights = matrix_in(machine, 12, 40)
    weights.codes[:] = weights.codes[0]
    weights.d[:] = 50
    weights.d[[3, 9]] += 1
    words = pack_words(weights, PARAMS.lanes, parts=1, sums=False).reshape(-1)
    octets_of(machine)[: words.nbytes] = words.view(np.uint8)
    machine._machine.words[:40] = torch.from_numpy(weights.codes[0].astype(np.int64))
    machine._machine.words[40:80] = 1
    machine._machine.words[80:92] = 0
    norm = {"a": 0, "b": 40, "count": 40, "multiplier": 40000, "epsilon_low": 1}
    first = {"drain": Drain.LOGITS, "tiles": 2, "count": 8, "b": 80, "constant": 34}
    last = first | {"tiles": 1, "count": 4, "weight_base": 2 * 66, "final": 1}
    run(machine, Instruction(Opcode.NORM, norm), ENCODE, matvec(**first), matvec(**last))
    assert [best.id for best in machine.best] == [3, 9, 0]
    assert machine.best[0].logit == machine.best[1].logit > machine.best[2].logit > 0
    run(machine, Instruction(Opcode.NORM, norm), ENCODE, matvec(**last | {"count": 1}))
    assert machine.best[0].id == 0 and machine.best[1:] == [NOTHING] * 2


def test_attention_is_not_counted_and_a_matrix_counts_reads_only(machine):
    matrix_in(machine, 11, 40)
    normalize = Instruction(Opcode.NORMALIZE, {"a": 0, "count": 40})
    operands = {"drain": Drain.NORMED, "target": 100, "b": 100}
    run(machine, normalize, ENCODE, matvec(**operands))
    once = machine.counters
    assert once["spikes"] + once["silent"] + once["integer_events"] == 40 and once["rows_read"]
    run(machine, normalize, ENCODE, matvec(**operands), matvec(**operands))
    twice = {name: 2 * once[name] for name in ("rows_read", "beats_read", "beats_hole")}
    assert machine.counters == once | twice
    uncounted = Instruction(Opcode.ENCODE, CODING | {"uncounted": 1})
    for drain in (Drain.SCORES, Drain.CONTEXT):
        run(machine, normalize, uncounted, matvec(**operands | {"drain": drain}))
        assert not any(machine.counters.values())


def several(*, bank: int = 0) -> list[Instruction]:
    """Put vectors 0 to 2, and all their scalars, into a bank."""
    instructions = []
    for vector in range(3):
        place = {"vector": vector}
        norm = {"a": 7 * vector, "b": 40, "count": 40, "multiplier": 40000 + vector}
        softmax = {"a": 9 * vector, "b": 60, "count": 11}
        marks = {"bank": bank, "join": int(vector > 0)}
        instructions += [
            Instruction(Opcode.SOFTMAX, softmax | place),
            Instruction(Opcode.NORM, norm | place | {"epsilon_low": 1}),
            Instruction(Opcode.ENCODE, CODING | place | marks),
        ]
    return instructions


@pytest.mark.parametrize("drain", [drain for drain in Drain if drain != Drain.LOGITS])
def test_several_vectors_are_drained_as_one_by_one(machine, drain):
    """Each with its own scalars, to a place of its own."""
    matrix_in(machine, 11, 40)
    constants = {Drain.NORMED: 40, Drain.CONTEXT: 12}
    place = {
        "drain": drain,
        "constant": constants.get(drain, 30),
        "multiplier": 999,
        "b": 100,
        "bank": 1,
    }
    before = machine.words.clone()
    before[100:111] = torch.arange(-5, 6) << (8 if drain == Drain.SCORES else 0)
    # Words between the results stay.
    biased = drain == Drain.BIASED
    together = matvec(**place, vectors=3, a=200 if biased else 120, target=120, stride=13)
    starts = [120 + 13 * v for v in range(3)]
    alone = [
        matvec(**place, vector=v, a=200 if biased else start, target=start)
        for v, start in enumerate(starts)
    ]
    results = []
    for products in ([together], alone):
        machine.words[:] = before
        run(machine, *several(bank=1), *products)
        results.append((words_of(machine), machine.counters))
    assert results[0][0] == results[1][0] != before.tolist()
    changed = [place for place in range(256) if results[0][0][place] != before[place]]
    assert {(place - 120) // 13 for place in changed} == {0, 1, 2}
    assert all((place - 120) % 13 < 11 for place in changed)
    rows = [counters["rows_read"] for _, counters in results]
    assert rows[1] == 3 * rows[0]  # alone each reads what any of them needs


def test_biases_are_added_to_every_vector(machine):
    matrix_in(machine, 11, 40)
    machine.words[100:111] = 0
    plain = matvec(drain=Drain.BIASED, vectors=3, a=230, b=100, target=120, stride=13, constant=30)
    machine.words[230:241] = 0
    run(machine, *several(bank=0), plain)
    without = words_of(machine)
    biases = list(range(-(1 << 23) + 1, 1 << 23, 1670000))
    machine.words[230:241] = torch.tensor(biases)
    run(machine, *several(bank=0), plain)
    for vector in range(3):
        for i, bias in enumerate(biases):
            word = without[120 + 13 * vector + i]
            assert machine.words[120 + 13 * vector + i] == exact_saturate(word + bias, 24)


@pytest.mark.parametrize("target", [10, 80])
def test_layer_norm(machine, target):
    machine.words[50:90] = torch.arange(-32768, 32768, 1639)[:40]
    words = words_of(machine)
    h, gamma, beta = words[10:50], words[50:90], words[90:130]
    operands = {"a": 10, "b": 50, "c": 90, "target": target, "count": 40, "constant": 24}
    scale = {"multiplier": 51812, "epsilon_low": 1 << 31, "mean": 52429, "mean_shift": 21}
    run(machine, Instruction(Opcode.LAYER_NORM, operands | scale))
    mean = exact_saturate(exact_shift(sum(h) * 52429, 21), 24)
    centred = [exact_saturate(x - mean, 24) for x in h]
    total = sum(x * x for x in centred) + (1 << 31)
    u = math.ceil((total.bit_length() - 32) / 2)
    r = (min(2**31 // math.isqrt(total >> 2 * u), 65535) * 51812 + 2**15) >> 16
    expected = [
        exact_saturate(exact_saturate(exact_shift(x * g * r, 24 + u), 24) + b, 24)
        for x, g, b in zip(centred, gamma, beta, strict=True)
    ]
    assert u > 0
    assert words_of(machine) == words[:target] + expected + words[target + 40 :]


@pytest.mark.parametrize(("rows", "stride", "k"), [(3, 13, 16), (1, 0, -3), (2, 200, 0)])
def test_sum(machine, rows, stride, k):
    words = words_of(machine)
    operands = {"a": 7, "stride": stride, "inner": rows, "target": 7, "count": 11}
    run(machine, Instruction(Opcode.SUM, operands | {"multiplier": 40001, "constant": k}))
    expected = [
        exact_saturate(
            exact_shift(sum(words[7 + i + row * stride] for row in range(rows)) * 40001, k), 24
        )
        for i in range(11)
    ]
    assert words_of(machine) == words[:7] + expected + words[18:]


def test_gelu_enters_the_encoder(machine):
    machine.words[3:14] = torch.arange(-20000, 24000, 4000)
    g = words_of(machine)[3:14]
    run(machine, Instruction(Opcode.GELU, {"a": 3, "count": 11, "vector": 2}))
    y = []
    for x in g:
        index = (x >> 5) + 512
        phi = 0 if index < 0 else 32768 if index > 1023 else PHI[index]
        y.append(exact_shift(x * phi, 15))
    n = max(map(abs, y)).bit_length() - 15
    assert machine._machine.n[2] == n
    assert machine._machine.vector(11).tolist() == [exact_shift(value, n) for value in y]


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(Opcode.GELU, {"count": 4}),
        Instruction(Opcode.SUM, {"count": 4, "inner": 1, "target": 8}),
        Instruction(Opcode.LAYER_NORM, {"count": 4, "b": 4, "c": 8}),
        matvec(drain=Drain.BIASED, b=100),
    ],
)
def test_a_core_without_encoder_refuses_what_is_for_encoders(memory, instruction):
    params = CoreParams(PARAMS.config.replace(encoder=False))
    with pytest.raises(ProgramError) as refused:
        run(Interpreter(params, memory), instruction)
    assert refused.value.error == Error.PROGRAM


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(Opcode.SUM, {"count": 4, "target": 8}),
        Instruction(Opcode.SUM, {"count": 4, "inner": 3, "stride": 127, "target": 8}),
        Instruction(Opcode.LAYER_NORM, {"count": 4, "b": 4, "c": 253}),
        Instruction(Opcode.GELU, {"count": 4, "vector": 3}),
        matvec(drain=Drain.BIASED, a=246, b=100),
    ],
)
def test_what_leaves_vector_memory_is_refused(machine, instruction):
    with pytest.raises(ProgramError) as refused:
        run(machine, instruction)
    assert refused.value.error == Error.PROGRAM


def test_banks_and_joins(machine):
    """A bank tells what is read: of the vectors that joined, not of one that began anew."""
    matrix_in(machine, 11, 64)
    machine.words[0:128] = 0
    machine.words[[3, 64 + 40]] = 1 << 20
    coding = CODING | {"inputs": 64}

    def encode(vector: int, **marks) -> list[Instruction]:
        normalize = {"a": 64 * vector, "count": 64, "vector": vector}
        return [
            Instruction(Opcode.NORMALIZE, normalize),
            Instruction(Opcode.ENCODE, coding | {"vector": vector} | marks),
        ]

    product = {"inputs": 64, "drain": Drain.NORMED, "target": 128, "b": 128}
    both = matvec(**product, vectors=2, stride=20)
    for second, expected in (({"join": 1}, 2), ({}, 1), ({"bank": 1}, 1)):
        run(machine, *encode(0), *encode(1, **second), both)
        assert machine.counters["rows_read"] == 3 * expected


def test_several_tokens_are_counted_by_ahead(machine):
    """Addresses, counts and scales are those of a later position."""
    place = {"inner": 4, "inner_stride": 1, "address": 900, "scales": 5000, "count": 4}
    moving = {"index": Index.POSITION, "stride_low": 8, "shift": 9}
    keep = Instruction(Opcode.KEEP, place | moving | {"a": 0, "ahead": 2})
    fetch = load(address=16, target=40, count_by_position=1, ahead=2, index=Index.POSITION)
    before = octets_of(machine).copy()
    words = words_of(machine)
    run(machine, keep, fetch, position=5)
    changed = np.flatnonzero(octets_of(machine)[:PROGRAM] != before[:PROGRAM])
    assert set(changed) <= {*range(956, 960), 5014, 5015} and changed.max() >= 5014
    assert words_of(machine)[40:48] == before[16:24].view(np.int8).tolist()
    assert words_of(machine)[48:] == words[48:]


def test_softmax_of_scales_that_vanish(machine):
    machine._machine.words[0:5] = torch.tensor([0, -30 << 8, -99, 7, 8])
    machine._machine.words[8:13] = torch.tensor([64 + (e << 8) for e in (-70, 30, -90, -80, -71)])
    operands = {"a": 0, "b": 8, "count_by_position": 1}
    run(machine, Instruction(Opcode.SOFTMAX, operands), position=4)
    # Only the second value is not shifted away, and its probability is 0.
    assert machine._machine.vector(5).tolist() == [0] * 5 and not machine._machine.gain[0]


@pytest.mark.parametrize("table", ["octave", "companded", "signed8", "fp4", "integer"])
@pytest.mark.parametrize("threshold", [4, 13, 255])
def test_fixed_scale(table, threshold):
    x = torch.arange(0 if table == "octave" else -255, 256)
    encoded = with_fixed_scale(x, table=TABLES[table], threshold=threshold)
    expected = [slow_code(int(v), 16, TABLES[table], threshold, 0) for v in x]
    decoded, classes = zip(*expected, strict=True)
    assert encoded.decoded.flatten()[: len(x)].tolist() == list(decoded)
    assert encoded.classes.flatten()[: len(x)].tolist() == [int(c) for c in classes]
    assert encoded.scales.unique().tolist() == [4] and int(encoded.base) == 0


@pytest.mark.parametrize(
    ("x", "table", "message"), [(0, "ttfs", "zero level 0, not 'ttfs'"), (256, "octave", "got 256")]
)
def test_fixed_scale_refuses(x, table, message):
    with pytest.raises(ValueError, match=message):
        with_fixed_scale(torch.tensor([x]), table=TABLES[table], threshold=4)


@pytest.mark.parametrize(
    ("instruction", "error"),
    [
        (load(count=0), Error.PROGRAM),
        (load(count=2, target=255), Error.PROGRAM),
        (load(count=2, address=16383), Error.RESPONSE),
        (Instruction(Opcode.EMBED, {"count": 33, "b": 255}), Error.PROGRAM),
        (Instruction(Opcode.EMBED, {"count": 3, "c": 256}), Error.PROGRAM),
        (Instruction(Opcode.GATE, {"count": 3, "b": 254}), Error.PROGRAM),
        (Instruction(Opcode.ROTATE, {"count": 5, "inner": 30}), Error.PROGRAM),
        (Instruction(Opcode.KEEP, {"count": 4, "inner": 4, "a": 253}), Error.PROGRAM),
        (Instruction(Opcode.SOFTMAX, {"count_by_position": 1, "a": 254}), Error.PROGRAM),
        (matvec(inputs=97), Error.INPUTS),
        (matvec(tiles=11), Error.OUTPUTS),
        (matvec(weight_base=4000), Error.MEMORY),
        (matvec(mode=REGISTERS["mode"].pack(table=6)), Error.MODE),
        (matvec(mode=REGISTERS["mode"].pack(table=3, fixed=1)), Error.MODE),
        (matvec(drain=Drain.RESIDUAL, a=246), Error.PROGRAM),
        (matvec(drain=Drain.LOGITS, b=246), Error.PROGRAM),
        (matvec(drain=Drain.LOGITS, vectors=2), Error.PROGRAM),
        (matvec(vectors=0), Error.PROGRAM),
        (matvec(vectors=2, vector=2), Error.PROGRAM),
        (matvec(vectors=3, stride=120, target=6), Error.PROGRAM),
        (matvec(drain=Drain.RESIDUAL, vectors=2, stride=120, a=126), Error.PROGRAM),
        (Instruction(Opcode.ENCODE, CODING | {"vector": 3}), Error.PROGRAM),
        (Instruction(Opcode.NORMALIZE, {"count": 3, "vector": 3}), Error.PROGRAM),
        (Instruction(Opcode.ENCODE, CODING | {"inputs": 97}), Error.INPUTS),
        (
            Instruction(Opcode.ENCODE, CODING | {"mode": REGISTERS["mode"].pack(table=6)}),
            Error.MODE,
        ),
    ],
)
def test_errors_stop_the_program(machine, instruction, error):
    fine = load(count=1)
    with pytest.raises(ProgramError, match=error.name.lower()) as stopped:
        run(machine, fine, fine, instruction, position=2)
    assert stopped.value.error == error and machine.instruction == 2
    run(machine, fine)
    assert machine.instruction == 1


def test_unknown_opcodes_and_programs_beyond_memory(machine):
    octets_of(machine)[PROGRAM] = max(Opcode) + 1
    for address, error in ((PROGRAM, Error.PROGRAM), (16384, Error.RESPONSE)):
        with pytest.raises(ProgramError) as stopped:
            machine.run(address, token=0, position=0)
        assert stopped.value.error == error and machine.instruction == 0
    octets_of(machine)[PROGRAM : PROGRAM + INSTRUCTION_BYTES] = 0
    machine.run(PROGRAM, token=0, position=0)
