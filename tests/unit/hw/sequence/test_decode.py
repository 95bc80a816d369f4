"""Instructions made ready for a token, and refused."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence import offset
from hw.sequence.decode import Decode
from hw.sequence.offset import Offset
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import OPERANDS, USES, Drain, Index, Instruction, Opcode
from hw.spec.registers import REGISTERS
from hw.spec.token_cycles import decode_cycles

PARAMS = CoreParams(CoreConfig(lanes=8, tile_lanes=16, memory="axi", batch=5, vector_words=1000))
WIDE = REGISTERS["mode"].pack(format=1)


def run(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_offset():
    dut, rng = Offset(), random.Random(1)

    async def bench(ctx):
        for _ in range(40):
            index = rng.choice([0, 1, rng.randrange(1 << 20), rng.randrange(1 << 8)])
            strides = {
                "shift": rng.choice([0, 1, 5, rng.randrange(32)]),
                "stride_high": rng.randrange(1 << 32),
                "stride_low": rng.randrange(1 << 16),
            }
            for name, value in {"index": index, **strides, "start": 1}.items():
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            for name in ("index", "start", *strides):
                ctx.set(getattr(dut, name), 0)
            cycles = 0
            while ctx.get(dut.busy):
                await ctx.tick()
                cycles += 1
            assert cycles == index.bit_length()
            assert ctx.get(dut.offset) == offset.model(index, **strides)

    run(dut, bench)


def operand_bits(instruction):
    return int.from_bytes(instruction.encode(), "little")


async def decode(ctx, dut, instruction, *, token=0, position=0):
    ctx.set(dut.instruction.as_value(), operand_bits(instruction))
    ctx.set(dut.token, token)
    ctx.set(dut.position, position)
    ctx.set(dut.takes, 1)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.takes, 0)
    ctx.set(dut.start, 0)
    ctx.set(dut.instruction.as_value(), 0)
    cycles = 0
    while ctx.get(dut.busy):
        await ctx.tick()
        cycles += 1
        assert cycles <= 24
    moved = {Index.TOKEN: token, Index.POSITION: position + instruction["ahead"]}
    index = moved.get(instruction["index"], 0)
    assert cycles + 2 == decode_cycles(index)  # and one each for the take and the step to issue
    return ctx.get(dut.task), bool(ctx.get(dut.malformed))


def test_what_depends_on_the_token():
    dut, rng = Decode(PARAMS), random.Random(2)

    async def bench(ctx):
        for _ in range(60):
            token, position = rng.randrange(1 << 20), rng.randrange(65535 - 63)
            ahead = rng.choice([0, 1, rng.randrange(64)])
            operands = {
                "index": rng.choice(list(Index)),
                **{name: rng.randrange(1 << 16) for name in ("address", "stride_low")},
                **{name: rng.randrange(1 << 32) for name in ("mantissas", "scales")},
                "stride_high": rng.randrange(1 << 32),
                "shift": rng.randrange(12),
                "ahead": ahead,
            }
            task, _ = await decode(
                ctx, dut, Instruction(Opcode.KEEP, operands), token=token, position=position
            )
            index = {Index.NONE: 0, Index.TOKEN: token, Index.POSITION: position + ahead}
            names = ("shift", "stride_high", "stride_low")
            moved = offset.model(index[operands["index"]], **{n: operands[n] for n in names})
            assert task.origin == (operands["address"] + moved) % 2**32
            assert task.mantissa_origin == (operands["mantissas"] + moved) % 2**32
            assert task.scale_address == (operands["scales"] + 2 * (position + ahead)) % 2**32

            flags = ("count_by_position", "inputs_by_position", "tiles_by_position")
            chosen = {flag: rng.randrange(2) for flag in flags}
            sizes = {name: rng.randrange(1, 1 << 16) for name in ("count", "inputs", "tiles")}
            shift = rng.randrange(8)
            matvec = Instruction(Opcode.MATVEC, {**chosen, **sizes, "shift": shift, "ahead": ahead})
            task, _ = await decode(ctx, dut, matvec, position=position)
            length = position + ahead + 1
            by_length = {
                "count": length, "inputs": length, "tiles": length + (1 << shift) - 1 >> shift
            }  # fmt: skip
            for name, flag in zip(("count", "inputs", "tiles"), flags, strict=True):
                expected = by_length[name] if chosen[flag] else sizes[name]
                assert getattr(task.instruction, name) == expected

    run(dut, bench)


#: Operands of a MATVEC, and of one that adds to words.
PRODUCT = {"count": 16, "tiles": 1, "inputs": 96, "vectors": 1}
RESIDUAL = {**PRODUCT, "drain": Drain.RESIDUAL}

GOOD = [
    (Opcode.END, {}),
    (Opcode.LOAD, {"count": 1000, "size": 1, "inner": 7}),
    (Opcode.LOAD, {"count": 1, "size": 2, "inner": 1, "target": 999}),
    (Opcode.EMBED, {"a": 0, "b": 998, "c": 999, "count": 64, "target": 936}),
    (Opcode.NORM, {"a": 36, "b": 936, "count": 64}),
    (Opcode.ROTATE, {"a": 200, "b": 900, "c": 896, "count": 4, "inner": 100}),
    (Opcode.GATE, {"count": 1, "vector": 4}),
    (Opcode.ENCODE, {"inputs": 64, "vector": 4, "ahead": 63}),
    (Opcode.MATVEC, {**PRODUCT, "count": 32, "tiles": 2}),
    (Opcode.MATVEC, {**PRODUCT, "count": 16, "tiles": 2, "mode": WIDE, "drain": Drain.LOGITS}),
    (Opcode.MATVEC, {**PRODUCT, "vector": 1, "vectors": 4, "ahead": 63}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 3, "stride": 400, "target": 184}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 3, "stride": 400, "a": 984}),
    (Opcode.MATVEC, {**RESIDUAL, "vectors": 3, "stride": 400, "a": 184, "b": 984}),
]

BAD = [
    (Opcode.LOAD, {"count": 0, "size": 1, "inner": 7}),
    (Opcode.LOAD, {"count": 3, "size": 1, "inner": 0}),
    (Opcode.LOAD, {"count": 3, "size": 0, "inner": 1}),
    (Opcode.LOAD, {"count": 3, "size": 3, "inner": 1}),
    (Opcode.LOAD, {"count": 2, "size": 1, "inner": 1, "target": 999}),
    (Opcode.EMBED, {"a": 937, "count": 64}),
    (Opcode.EMBED, {"b": 998, "count": 65}),
    (Opcode.EMBED, {"c": 1000, "count": 64}),
    (Opcode.NORM, {"a": 936, "b": 937, "count": 64}),
    (Opcode.GATE, {"count": 0}),
    (Opcode.NORMALIZE, {"a": 65535, "count": 1}),
    (Opcode.ROTATE, {"a": 201, "count": 4, "inner": 100}),
    (Opcode.ROTATE, {"b": 904, "count": 4, "inner": 100}),
    (Opcode.ROTATE, {"c": 904, "count": 4, "inner": 100}),
    (Opcode.ROTATE, {"count": 4}),
    (Opcode.ROTATE, {"count": 65535, "inner": 65535}),
    (Opcode.KEEP, {"count": 4}),
    (Opcode.SOFTMAX, {"count": 4, "b": 997}),
    (Opcode.NORM, {"count": 64, "vector": 5}),
    (Opcode.SOFTMAX, {"count": 4, "vector": 63}),
    (Opcode.ENCODE, {"inputs": 64, "vector": 5}),
    (Opcode.MATVEC, {**PRODUCT, "count": 33, "tiles": 2}),
    (Opcode.MATVEC, {**PRODUCT, "count": 17, "tiles": 2, "mode": WIDE}),
    (Opcode.MATVEC, {**PRODUCT, "drain": 5}),
    (Opcode.MATVEC, {**PRODUCT, "count": 0}),
    (Opcode.MATVEC, {**PRODUCT, "target": 990}),
    (Opcode.MATVEC, {**PRODUCT, "b": 990}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 0}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 0, "drain": Drain.LOGITS}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 2, "drain": Drain.LOGITS}),
    (Opcode.MATVEC, {**PRODUCT, "vector": 2, "vectors": 4}),
    (Opcode.MATVEC, {**PRODUCT, "vector": 63, "vectors": 127}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 3, "stride": 400, "target": 185}),
    (Opcode.MATVEC, {**PRODUCT, "vectors": 2, "stride": 65535}),
    (Opcode.MATVEC, {**RESIDUAL, "vectors": 3, "stride": 400, "a": 185}),
    (Opcode.MATVEC, {**RESIDUAL, "vectors": 5, "stride": 40000}),
]


#: What a core with ``encoder`` executes, and what it does not.
BIASED = {**PRODUCT, "drain": Drain.BIASED}
GOOD_ENCODERS = [
    (Opcode.LAYER_NORM, {"a": 936, "b": 936, "c": 936, "target": 936, "count": 64}),
    (Opcode.SUM, {"a": 136, "stride": 400, "inner": 3, "target": 936, "count": 64}),
    (Opcode.SUM, {"a": 936, "stride": 65535, "inner": 1, "count": 64}),
    (Opcode.GELU, {"a": 936, "count": 64, "vector": 4}),
    (Opcode.MATVEC, {**BIASED, "vectors": 3, "stride": 400, "a": 984, "target": 184}),
]
BAD_ENCODERS = [
    *((Opcode.LAYER_NORM, {"count": 64, name: 937}) for name in ("a", "b", "c", "target")),
    (Opcode.LAYER_NORM, {"count": 0}),
    (Opcode.SUM, {"a": 137, "stride": 400, "inner": 3, "count": 64}),
    (Opcode.SUM, {"target": 937, "inner": 3, "count": 64}),
    (Opcode.SUM, {"count": 64}),
    (Opcode.GELU, {"a": 937, "count": 64}),
    (Opcode.GELU, {"count": 64, "vector": 5}),
    (Opcode.MATVEC, {**BIASED, "a": 985}),
    (Opcode.MATVEC, {**BIASED, "vectors": 3, "stride": 400, "target": 185}),
    (Opcode.MATVEC, {**PRODUCT, "drain": 6}),
]


@pytest.mark.parametrize(("opcode", "operands"), GOOD_ENCODERS + BAD_ENCODERS)
@pytest.mark.parametrize("encoder", [False, True])
def test_for_encoders(opcode, operands, encoder):
    dut = Decode(CoreParams(PARAMS.config.replace(encoder=encoder)))

    async def bench(ctx):
        _, malformed = await decode(ctx, dut, Instruction(opcode, operands))
        assert malformed == (not encoder or (opcode, operands) in BAD_ENCODERS)

    run(dut, bench)


@pytest.mark.parametrize(("opcode", "operands"), GOOD + BAD)
def test_malformed(opcode, operands):
    """Limits of 1000 words and tiles of 16 lanes; 5 vectors at most."""
    dut = Decode(PARAMS)

    async def bench(ctx):
        _, malformed = await decode(ctx, dut, Instruction(opcode, operands))
        assert malformed == ((opcode, operands) in BAD)

    run(dut, bench)


@pytest.mark.parametrize("opcode", [max(Opcode) + 1, 255])
def test_unknown_opcode(opcode):
    dut = Decode(PARAMS)

    async def bench(ctx):
        ctx.set(dut.instruction.opcode, opcode)
        ctx.set(dut.instruction.count, 1)
        ctx.set(dut.takes, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.takes, 0)
        ctx.set(dut.start, 0)
        await ctx.tick().until(~dut.busy)
        assert ctx.get(dut.malformed)

    run(dut, bench)


def test_instructions_survive_memory():
    rng = random.Random(3)
    for opcode in Opcode:
        for _ in range(20):
            operands = {}
            for name in USES[opcode]:
                operand = OPERANDS[name]
                low = -(1 << operand.width - 1) if operand.signed else 0
                value = rng.randrange(low, (1 << operand.width) + low)
                if value:
                    operands[name] = value
            instruction = Instruction(opcode, operands)
            assert Instruction.decode(instruction.encode()) == instruction
    with pytest.raises(ValueError, match="END has no operand 'count'"):
        Instruction(Opcode.END, {"count": 1})
    with pytest.raises(ValueError, match=r"NORM.count must be 0..65535, not 65536"):
        Instruction(Opcode.NORM, {"count": 65536})
