"""Units beside each other, and several vectors, in programs made by hand."""

import itertools

import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.cycles import CHECK, accounted_cycles
from hw.spec.encoder_cycles import encode_cycles
from hw.spec.formats import FORMATS
from hw.spec.params import CoreParams
from hw.spec.program import USES, Drain, Instruction, Opcode, Unit
from hw.spec.registers import REGISTERS
from hw.spec.token_cycles import decode_cycles, feed_cycles
from sim.memory import MemoryModel
from sw.golden.codes import encode
from sw.golden.counters import lane_cycles
from sw.plan.bus import Bus
from sw.plan.encoder import Encoder
from sw.plan.matrix import Multiply, Product
from sw.plan.path import SEQUENCER, Issued, waited
from sw.plan.sequencer import run_cost
from sw.plan.trace import Run, Step

CONFIG = CONFIGS["mac8-token"].replace(batch=5)
PARAMS = CoreParams(CONFIG)
MODE = REGISTERS["mode"].pack(table=TABLES["companded"].number, format=0)
VECTOR = 1 << Unit.VECTOR
ENCODE = 1 << Unit.ENCODE
MATVEC = 1 << Unit.MATVEC


def vector(seed, inputs=77):
    x = torch.distributions.Laplace(0.0, 900.0)
    torch.manual_seed(seed)
    values = x.sample((inputs,)).long().clamp(-32767, 32767)
    values[32:40] = 0
    return encode(values, table=TABLES["companded"], constant=367)


def step(opcode, count=1, encoded=(), **operands):
    counts = {"count": count} if "count" in USES[opcode] else {}
    return Step(Instruction(opcode, {**counts, **operands}), count, encoded)


def encoding(number, codes, **operands):
    operands = {"inputs": codes.inputs, "mode": MODE, "join": int(number > 0), **operands}
    return step(Opcode.ENCODE, encoded=[codes], vector=number, **operands)


def matvec(codes, outputs=20, **operands):
    tiles = -(-outputs // PARAMS.tile_lanes)
    operands = {"drain": Drain.NORMED, "mode": MODE, "tiles": tiles, **operands}
    return step(
        *(Opcode.MATVEC, outputs, codes),
        **{"inputs": codes[0].inputs, "vectors": len(codes), **operands},
    )


def cost(*steps, memory="ideal"):
    run = Run(program=1 << 16, token=3, position=40, steps=steps)
    return run_cost(run, PARAMS, MemoryModel.parse(memory))


def test_a_unit_waits_for_itself():
    one = step(Opcode.NORMALIZE, 200)
    once, twice = cost(one).cycles, cost(one, one).cycles
    assert twice - once == feed_cycles(Opcode.NORMALIZE, 200, PARAMS.vector_width) + 2


def test_units_wait_for_what_is_after():
    codes = vector(1)
    first = [encoding(0, codes), matvec([codes], 200)]
    beside = cost(*first, step(Opcode.NORMALIZE, 40))
    behind = cost(*first, step(Opcode.NORMALIZE, 40, after=MATVEC))
    normalize = feed_cycles(Opcode.NORMALIZE, 40, PARAMS.vector_width) + 2
    fetched = 16  # beside it, instructions take beats of the matrix
    assert normalize - fetched <= behind.cycles - beside.cycles <= normalize
    assert beside.kinds["NORMALIZE"].cycles == 0
    assert behind.kinds["NORMALIZE"].cycles == normalize
    assert beside.kinds["NORMALIZE"].busy == behind.kinds["NORMALIZE"].busy == normalize


def test_an_encode_ends_after_its_check():
    codes = vector(2)
    one = cost(encoding(0, codes)).cycles
    two = cost(encoding(0, codes), encoding(1, codes)).cycles
    assert two - one == CHECK + 1 + encode_cycles(codes.inputs) + 3


def test_a_matrix_chases_its_last_vector():
    codes = vector(3, 960)
    chasing = cost(encoding(0, codes), matvec([codes], 16)).cycles
    waiting = cost(encoding(0, codes), matvec([codes], 16, after=ENCODE)).cycles
    assert chasing < waiting - 500, "the first tile is computed beside"
    known = [encoding(0, codes), step(Opcode.NORMALIZE, 20, after=ENCODE)]
    apart = cost(*known, matvec([codes], 16, after=VECTOR))
    alone = cost(*known)
    assert (
        apart.stalls["encoder"] < 10 < cost(encoding(0, codes), matvec([codes])).stalls["encoder"]
    )
    assert apart.kinds["MATVEC normed"].cycles == apart.cycles - alone.cycles


def test_several_vectors_read_a_row_once():
    codes = [vector(seed) for seed in (4, 5, 6)]
    encodes = [encoding(number, each) for number, each in enumerate(codes)]
    same = [encoding(number, codes[0]) for number in range(3)]
    joined = cost(*encodes, matvec(codes)).kinds["MATVEC normed"].octets
    equal = cost(*same, matvec([codes[0]] * 3)).kinds["MATVEC normed"].octets
    single = [
        cost(encoding(0, each), matvec([each])).kinds["MATVEC normed"].octets for each in codes
    ]
    assert equal == single[0]
    assert max(single) < joined < sum(single)


def test_banks_are_apart():
    codes = [vector(seed) for seed in (7, 8)]
    steps = [encoding(0, codes[0]), encoding(1, codes[1], join=0, bank=1)]
    both = cost(*steps, matvec([codes[0]]), matvec([codes[1]], vector=1, bank=1))
    single = [
        cost(encoding(0, each), matvec([each])).kinds["MATVEC normed"].octets for each in codes
    ]
    assert both.kinds["MATVEC normed"].octets == sum(single)


@pytest.mark.parametrize("memory", ["ideal", "dram,jitter=4"])
def test_everything_adds_up(memory):
    codes = [vector(seed) for seed in (9, 10)]
    token = cost(
        step(Opcode.NORM, 77),
        encoding(0, codes[0], after=VECTOR),
        step(Opcode.LOAD, 90, size=1, inner=90, inner_stride=1),
        step(Opcode.NORM, 77, after=ENCODE),
        encoding(1, codes[1], after=VECTOR),
        matvec(codes, 50),
        step(Opcode.KEEP, 16, inner=16, inner_stride=1, after=MATVEC),
        step(Opcode.SOFTMAX, 40),
        memory=memory,
    )
    assert token.cycles == sum(kind.cycles for kind in token.kinds.values())
    assert token.octets == sum(kind.octets for kind in token.kinds.values())
    assert 0 < token.kinds["MATVEC normed"].cycles <= token.kinds["MATVEC normed"].busy


@pytest.mark.parametrize("integrator", ["mac", "spike"])
@pytest.mark.parametrize("memory", ["ideal", "latency=9,jitter=5"])
def test_lanes_lose_no_cycle(integrator, memory):
    """Items, stalls and what is said of a matrix are all its cycles, as of the core."""
    for tile_lanes, count in itertools.product((8, 16, 64), (1, 2, 5)):
        config = CONFIG.replace(tile_lanes=tile_lanes, integrator=integrator)
        params, encoder = CoreParams(config), Encoder(CoreParams(config))
        codes = [vector(seed, 130) for seed in range(count)]
        for number, each in enumerate(codes):
            encoder.encode(encoding(number, each).instruction, each, start=300 * number)
        weights, start = FORMATS["w4"], 300 * count
        product = Product(
            vectors=[encoder.vectors[number] for number in range(count)],
            bank=encoder.banks[0],
            layout=weights,
            sums=False,
            counted=True,
            inputs=130,
            outputs=3 * tile_lanes,
            tiles=3,
            address=64,
        )
        multiply = Multiply(params, product, start=start)
        port = Bus(MemoryModel.parse(memory), beat_bytes=4)
        port.finish(port.start(multiply.requests()))
        items = [item for each in codes for item in lane_cycles(each, integrator).tolist()]
        stalls = sum(multiply.stalls.values())
        cycles = accounted_cycles(params, weights, 3, items, stalls=stalls)
        assert multiply.multiplied == start + cycles


def test_the_path_goes_by_what_was_awaited():
    norm = Issued("NORM", 10, None, ended=False)
    encode_ = Issued("ENCODE", 60, norm, ended=True)
    load = Issued("LOAD", 70, encode_, ended=False)
    matrix = Issued("MATVEC", 78, load, ended=False)
    last = Issued("END", 500, matrix, ended=True)
    assert waited(last) == {SEQUENCER: 10 + 10 + 8, "NORM": 50, "MATVEC": 422}


def test_instructions_are_decoded_beside_others():
    steps = [step(Opcode.SOFTMAX, 400), step(Opcode.LOAD, 1, size=1, inner=1)]
    alone = cost(steps[0])
    assert cost(*steps).cycles == alone.cycles
    assert cost(*steps, steps[1]).cycles == alone.cycles, "both loads are short"
    assert cost().cycles < alone.cycles
    assert decode_cycles(0) == 6
