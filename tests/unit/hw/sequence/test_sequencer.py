"""Order of instructions, what runs beside what, and how a program ends."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence.sequencer import EXECUTED, Sequencer
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import Drain, Instruction, Opcode
from hw.spec.registers import Error

PARAMS = CoreParams(CoreConfig(lanes=8, memory="axi", vector_words=1024))

OPERANDS = {
    Opcode.LOAD: {"size": 1, "inner": 1},
    Opcode.ROTATE: {"inner": 2},
    Opcode.KEEP: {"inner": 1},
    Opcode.MATVEC: {"tiles": 8, "inputs": 32},
}


def program(rng, length):
    """Random instructions; the address tells them apart."""
    chosen = [rng.choice([*EXECUTED, Opcode.LOAD, Opcode.LOAD]) for _ in range(length)]
    instructions = [Instruction(op, {**OPERANDS.get(op, {}), "count": 3}) for op in chosen]
    return [*instructions, Instruction(Opcode.END)]


class Units:
    """Fetches the program and executes tasks, each in random time."""

    def __init__(self, dut, instructions, seed, *, event=None):
        self.dut, self.instructions = dut, instructions
        self.rng = random.Random(seed)
        self.log, self.counted, self.fetches, self.halts = [], 0, 0, 0
        self.event = event

    async def supply(self, ctx):
        stream = self.dut.instructions
        fetched = False
        while not fetched:
            _, _, fetched = await ctx.tick().sample(self.dut.fetch)
        for instruction in self.instructions:
            while self.rng.random() < 0.5:
                await ctx.tick()
            ctx.set(stream.payload.as_value(), int.from_bytes(instruction.encode(), "little"))
            ctx.set(stream.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(stream.ready)
            ctx.set(stream.valid, 0)

    async def work(self, ctx):
        dut, left = self.dut, {"load": 0, "task": 0}
        halted = 0
        while True:
            for name, port in (("load", dut.loaded), ("task", dut.executed)):
                ctx.set(port, left[name] == 1)
                left[name] = max(left[name] - 1, 0)
            if self.event and len(self.log) == self.event[0]:
                ctx.set(getattr(dut, self.event[1]), self.event[2])
                self.event = None
            await ctx.tick()
            self.counted += ctx.get(dut.counted)
            self.fetches += ctx.get(dut.fetch)
            if ctx.get(dut.halt):
                self.halts += 1
                left = {"load": 0, "task": 0}
                halted = 7
            halted = max(halted - 1, 0)
            ctx.set(dut.draining, halted != 0)
            if ctx.get(dut.load):
                assert not left["load"]
                self.log.append(Opcode(ctx.get(dut.load_task.instruction.opcode)))
                left["load"] = self.rng.randrange(2, 40)
            starts = [op for op in EXECUTED if ctx.get(dut.starts[op.name.lower()])]
            assert len(starts) <= 1
            if starts:
                assert not left["task"]
                assert not left["load"]
                assert ctx.get(dut.task.instruction.opcode) == starts[0]
                self.log.append(starts[0])
                left["task"] = self.rng.randrange(2, 40)


def run(dut, units, check, *, limit=20_000):
    async def bench(ctx):
        ctx.set(dut.run, 1)
        await ctx.tick()
        ctx.set(dut.run, 0)
        cycles = 0
        while ctx.get(dut.busy):
            await ctx.tick()
            cycles += 1
            assert cycles < limit, "the program does not end"
        assert ctx.get(dut.cycles) == cycles
        check(ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(units.supply, background=True)
    simulator.add_testbench(units.work, background=True)
    simulator.run()


@pytest.mark.parametrize("seed", range(6))
def test_program(seed):
    """All run in order, LOADs beside what runs; matrices of weights are counted."""
    rng, dut = random.Random(seed), Sequencer(PARAMS)
    instructions = program(rng, 40)
    for i, instruction in enumerate(instructions):
        if instruction.opcode == Opcode.MATVEC:
            operands = {**instruction.operands, "drain": rng.choice(list(Drain))}
            instructions[i] = Instruction(Opcode.MATVEC, operands)
    units = Units(dut, instructions, seed)
    attention = (Drain.SCORES, Drain.CONTEXT)
    matrices = [i for i in instructions if i.opcode == Opcode.MATVEC]

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[:-1]]
        assert ctx.get(dut.done)
        assert ctx.get(dut.error) == Error.NONE
        assert ctx.get(dut.number) == 40
        assert (units.fetches, units.halts) == (1, 1)
        assert units.counted == sum(i["drain"] not in attention for i in matrices)

    run(dut, units, check)


@pytest.mark.parametrize("place", [0, 5, 12])
def test_malformed_instruction(place):
    """What is before it ends; what is behind it does not begin."""
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(place), 13)
    instructions[place] = Instruction(Opcode.GATE, {})
    units = Units(dut, instructions, 1)

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[:place]]
        assert not ctx.get(dut.done)
        assert ctx.get(dut.error) == Error.PROGRAM
        assert ctx.get(dut.number) == place
        assert units.halts == 1

    run(dut, units, check)


@pytest.mark.parametrize(
    ("port", "value", "error"),
    [("failed", 1, Error.RESPONSE), ("refused", Error.MEMORY, Error.MEMORY)],
)
@pytest.mark.parametrize("place", [1, 4, 9])
def test_failure(port, value, error, place):
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(place), 30)
    units = Units(dut, instructions, 1, event=(place, port, value))

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[: len(units.log)]]
        assert place <= len(units.log) <= place + 1
        assert ctx.get(dut.number) == len(units.log) - (port == "refused")
        assert not ctx.get(dut.done)
        assert ctx.get(dut.error) == error
        assert units.halts == 1

    run(dut, units, check)


@pytest.mark.parametrize("needed", [False, True])
def test_unreadable_instruction(needed):
    """It stops the program where it is needed, not behind its end."""
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(7), 9)
    last = instructions[:-1] if needed else instructions
    units = Units(dut, last, 1, event=(9, "unreadable", 1))

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[:-1]]
        assert ctx.get(dut.done) != needed
        assert ctx.get(dut.error) == (Error.RESPONSE if needed else Error.NONE)

    run(dut, units, check)
