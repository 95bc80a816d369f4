"""Programs by hand whose instructions run beside each other, against the integer model."""

import itertools

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4
from hw.spec.params import INTEGRATORS
from hw.spec.program import ALL_UNITS, Drain, Instruction, Opcode, Unit
from hw.spec.registers import ENCODE_COUNTERS, REGISTERS, Error
from sim.memory import MemoryModel
from sw.golden.integers import normalize, rescale, saturate
from tests.rtl.conftest import NARROW, WIDE_BUS
from tests.rtl.reference import encode

pytestmark = pytest.mark.rtl

MEMORY = MemoryModel(latency=5, jitter=4, seed=2)
CORES = {
    "narrow": NARROW.replace(batch=4, max_inputs=224, max_outputs=90, vector_words=2048),
    "parts": WIDE_BUS.replace(batch=5, hole=3, max_outputs=160, vector_words=2048, vector_width=4),
}
PROGRAM = 16_384

#: Encoded vectors of one product; two products take turns.
SET = 2
INPUTS, STRIDE = 95, 96
CONSTANT, MULTIPLIER, WORD = 14, 30_001, 24
MODE = {"table": TABLES["companded"].number}
QUANTIZER = {"constant": 367, "threshold": 4}


@pytest.fixture(scope="module", params=itertools.product(CORES, INTEGRATORS), ids="-".join)
def host(request, open_host):
    name, integrator = request.param
    return open_host(CORES[name].replace(integrator=integrator), MEMORY)


def _bit(*units):
    return sum(1 << unit for unit in units)


def _prepare(host, matrix, vectors, program):
    """Load weights, words and program; run it; return its status."""
    params = host.params
    image, tiles = matrix.image(params.lanes, sums=False, parts=params.sub_tiles)
    host.transport.load(0, image)
    octets = b"".join(instruction.encode() for instruction in program(tiles))
    host.transport.load(PROGRAM, np.frombuffer(octets, np.uint8))
    words = np.zeros(params.vector_words, np.int64)
    for number, vector in enumerate(vectors):
        words[number * STRIDE :][:INPUTS] = vector
    host.window("vector", 0, words & 0xFFFFFFFF)
    host.write("program", PROGRAM)
    host.write("control", run=1)
    host.wait()
    return host.status()


def _words(host, start, count):
    host.write("vector_address", start)
    words = host.transport.read_window(REGISTERS["vector_data"].address, count)
    return words.view(np.int32).astype(np.int64)


def _product(first, tiles, *, serial, **operands):
    after = ALL_UNITS if serial else operands.pop("after", 0)
    fields = REGISTERS["mode"].pack(**MODE), REGISTERS["quantizer"].pack(**QUANTIZER)
    shape = {"inputs": INPUTS, "tiles": tiles, "mode": fields[0], "quantizer": fields[1]}
    more = {"vector": first, "vectors": SET, "bank": first // SET, "stride": STRIDE}
    return Instruction(Opcode.MATVEC, {**shape, **more, **operands, "after": after})


def _encode(source, vector, *, serial, uncounted=0):
    """NORMALIZE and ENCODE of the words of a vector."""
    fields = REGISTERS["mode"].pack(**MODE), REGISTERS["quantizer"].pack(**QUANTIZER)
    place = {"vector": vector, "bank": vector // SET, "join": vector % SET}
    encoding = {"inputs": INPUTS, "mode": fields[0], "quantizer": fields[1]}
    afters = (ALL_UNITS, ALL_UNITS) if serial else (_bit(Unit.ENCODE), _bit(Unit.VECTOR))
    return [
        Instruction(
            Opcode.NORMALIZE,
            {"a": source * STRIDE, "count": INPUTS, "vector": vector, "after": afters[0]},
        ),
        Instruction(
            Opcode.ENCODE, {**place, **encoding, "after": afters[1], "uncounted": uncounted}
        ),
    ]


def _expected(matrix, vector, drain, a):
    x, n = normalize(torch.from_numpy(vector))
    encoded = encode(x.numpy(), "companded")
    accumulators = torch.from_numpy(np.array(matrix.product(encoded), np.int64))
    k = CONSTANT - n - encoded.base
    if drain == Drain.RESIDUAL:
        summed = torch.from_numpy(a) + rescale(accumulators, 1 << 15, k)
        return saturate(summed, WORD).tolist(), encoded.counters
    return rescale(accumulators, MULTIPLIER, k).tolist(), encoded.counters


@pytest.mark.parametrize("drain", [Drain.SCORES, Drain.RESIDUAL])
def test_products_in_turns(host, random_matrix, drain):
    """While one is multiplied and drained, vectors of the next are made and encoded."""
    rng = np.random.default_rng(drain)
    outputs, products = 29, 3
    matrix = random_matrix(rng, W4, outputs, INPUTS)
    vectors = rng.integers(-(1 << 20), 1 << 20, (products * SET, INPUTS))
    vectors[rng.random(vectors.shape) < 0.7] >>= 9
    base = products * SET * STRIDE  # of results; a RESIDUAL adds to the vectors

    cycles = {}
    for serial in (False, True):

        def program(tiles, serial=serial):
            instructions = []
            for p in range(products):
                sources = range(p * SET, (p + 1) * SET)
                first = p % 2 * SET
                for w, source in enumerate(sources):
                    instructions += _encode(source, first + w, serial=serial, uncounted=p == 1)
                start = p * SET * STRIDE
                operands = {"drain": drain, "count": outputs, "constant": CONSTANT}
                operands |= {"b": 2047 // 32 * 32 - 64, "target": base + start, "a": start}
                if drain == Drain.RESIDUAL:  # it has a port of the vector unit
                    operands["after"] = _bit(Unit.VECTOR)
                else:
                    operands["multiplier"] = MULTIPLIER
                    del operands["a"]
                instructions.append(_product(first, tiles, serial=serial, **operands))
                if drain == Drain.RESIDUAL and not serial:
                    wait = {"a": 0, "count": 1, "after": _bit(Unit.MATVEC)}
                    instructions.append(Instruction(Opcode.NORMALIZE, wait))
            return [*instructions, Instruction(Opcode.END)]

        assert _prepare(host, matrix, vectors, program) == {"busy": 0, "done": 1, "error": 0}
        assert host.read("waiting") == 0
        cycles[serial] = host.read("token_cycles")
        events = dict.fromkeys(ENCODE_COUNTERS, 0)
        for number, vector in enumerate(vectors):
            expected, counters = _expected(matrix, vector, drain, vector[:outputs])
            assert _words(host, base + number * STRIDE, outputs).tolist() == expected
            for name in ENCODE_COUNTERS:
                events[name] += counters[name] * (number // SET != 1)
        counters = host.counters()
        assert {name: counters[name] for name in ENCODE_COUNTERS} == events
        assert (counters["rows_read"] == 0) == (drain == Drain.SCORES)
    assert cycles[False] < cycles[True]


@pytest.mark.parametrize("opcode", [Opcode.ENCODE, Opcode.MATVEC])
def test_refusals(host, random_matrix, opcode):
    """The instruction at fault is named; the core is ready for the next program."""
    rng = np.random.default_rng(3)
    matrix = random_matrix(rng, W4, 29, INPUTS)
    vectors = rng.integers(-(1 << 20), 1 << 20, (SET, INPUTS))

    def program(tiles, *, wrong):
        instructions = [*_encode(0, 0, serial=False), *_encode(1, 1, serial=False)]
        operands = {"drain": Drain.NORMED, "count": 29, "target": 1024}
        instructions += [_product(0, tiles, serial=False, **operands) for _ in range(3)]
        number = next(i for i, x in enumerate(instructions) if x.opcode == opcode) + 1 + wrong
        if wrong:
            inputs = {**instructions[number].operands, "inputs": host.params.max_inputs + 1}
            instructions[number] = Instruction(opcode, inputs)
        return [*instructions, Instruction(Opcode.END)]

    status = _prepare(host, matrix, vectors, lambda tiles: program(tiles, wrong=1))
    assert status == {"busy": 0, "done": 0, "error": Error.INPUTS}
    assert host.read("instruction") == {Opcode.ENCODE: 3, Opcode.MATVEC: 6}[opcode]
    status = _prepare(host, matrix, vectors, lambda tiles: program(tiles, wrong=0))
    assert status == {"busy": 0, "done": 1, "error": 0}


def _four(tiles, *, encodes=True):
    """Return a program of four encodings and two products, which may overlap."""
    instructions = []
    for first in (0, SET):
        for w in range(SET if encodes else 0):
            instructions += _encode(w, first + w, serial=False)
        operands = {"drain": Drain.NORMED, "count": 29, "target": 1024}
        instructions.append(_product(first, tiles, serial=False, **operands))
    return [*instructions, Instruction(Opcode.END)]


def test_vectors_that_were_never_encoded(host, random_matrix):
    """Their product means nothing, but ends."""
    rng = np.random.default_rng(4)
    matrix = random_matrix(rng, W4, 29, INPUTS)
    for encodes in (False, True):
        host.write("control", reset=1)
        host.wait()
        status = _prepare(host, matrix, [], lambda tiles, e=encodes: _four(tiles, encodes=e))
        assert status == {"busy": 0, "done": 1, "error": 0}


@pytest.mark.parametrize("seed", range(3))
def test_interruptions(host, random_matrix, seed):
    """After an abort, or an error of memory, at any time a program runs as if nothing had been."""
    rng = np.random.default_rng(seed)
    matrix = random_matrix(rng, W4, 29, INPUTS)
    vectors = rng.integers(-(1 << 20), 1 << 20, (SET, INPUTS))
    done = {"busy": 0, "done": 1, "error": 0}
    assert _prepare(host, matrix, vectors, _four) == done
    words, counters = _words(host, 1024, SET * STRIDE).tolist(), host.counters()
    whole = host.read("token_cycles")
    for delay in rng.integers(0, whole, 12).tolist():
        host.write("control", run=1)
        host.transport.tick(delay)
        host.write("control", reset=1)
        host.wait()
        assert host.status() == {"busy": 0, "done": 0, "error": 0}
        assert host.read("waiting") == 0
    for burst in rng.integers(1, 40, 8).tolist():
        host.transport.fail(burst, 2)
        host.write("control", run=1)
        host.wait()
        assert host.status() in (done, {"busy": 0, "done": 0, "error": Error.RESPONSE})
        host.transport.heal()
    assert _prepare(host, matrix, vectors, _four) == done
    assert _words(host, 1024, SET * STRIDE).tolist() == words
    again = host.counters()
    for name in (*ENCODE_COUNTERS, "rows_read", "beats_read"):
        assert again[name] == counters[name]
