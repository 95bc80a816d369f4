"""Order of instructions, what runs beside what, and how a program ends."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence.sequencer import EXECUTED, Sequencer
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import (
    ALL_UNITS,
    ATTENTION,
    INSTRUCTION_BYTES,
    Drain,
    Instruction,
    Opcode,
    Unit,
)
from hw.spec.registers import Error
from hw.spec.token_cycles import decode_cycles

PARAMS = CoreParams(CoreConfig(lanes=8, memory="axi", batch=3, vector_words=1024, encoder=True))

#: Cycles from the end of what is waited for to a start.
ISSUE = 2

OPERANDS = {
    Opcode.LOAD: {"size": 1, "inner": 1, "count": 3},
    Opcode.ROTATE: {"inner": 2, "count": 3},
    Opcode.KEEP: {"inner": 1, "count": 3},
    Opcode.MATVEC: {"tiles": 8, "inputs": 32, "vectors": 1, "count": 3},
    Opcode.ENCODE: {"inputs": 32},
    Opcode.SUM: {"inner": 1, "count": 3},
}


def random_instruction(rng):
    """Return a random instruction that waits for random units."""
    opcode = rng.choice([*EXECUTED, *[Opcode.LOAD, Opcode.ENCODE, Opcode.MATVEC] * 2])
    operands = {**OPERANDS.get(opcode, {"count": 3}), "after": rng.randrange(ALL_UNITS + 1)}
    if opcode == Opcode.MATVEC:
        operands |= {"drain": rng.choice(list(Drain)), "weight_base": rng.randrange(1 << 32)}
    if opcode == Opcode.ENCODE:
        operands |= {"uncounted": rng.randrange(2)}
    return Instruction(opcode, operands)


def program(rng, length):
    """Return random instructions, and END."""
    return [*(random_instruction(rng) for _ in range(length)), Instruction(Opcode.END)]


def needed(instruction):
    """Return the units that an instruction waits for."""
    own = {Unit.of(instruction.opcode)}
    return own | {unit for unit in Unit if instruction["after"] >> unit & 1}


def bits(instruction):
    """Return an instruction as it comes from memory."""
    return int.from_bytes(instruction.encode(), "little")


class Units:
    """Fetches the program and executes tasks, each in random time, or as ``take`` says."""

    def __init__(self, dut, instructions, seed, *, event=None, later=0, take=None, pauses=0.5):
        self.dut, self.instructions = dut, instructions
        self.rng, self.pauses = random.Random(seed), pauses
        self.take = take or (lambda _: self.rng.randrange(2, 60))
        self.log, self.starts, self.ends, self.takes = [], [], {}, []
        self.counted = {"encode": 0, "matvec": 0}
        self.fetches = self.halts = 0
        self.event, self.later = event, later
        self.running = {}

    async def supply(self, ctx):
        stream = self.dut.instructions
        fetched = False
        while not fetched:
            _, _, fetched = await ctx.tick().sample(self.dut.fetch)
        for instruction in self.instructions:
            while self.rng.random() < self.pauses:
                await ctx.tick()
            ctx.set(stream.payload.as_value(), bits(instruction))
            ctx.set(stream.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(stream.ready)
            ctx.set(stream.valid, 0)

    async def work(self, ctx):
        dut, left, cycle, halted = self.dut, {}, 0, 0
        while True:
            for unit in Unit:
                ends = left.get(unit) == 1
                ctx.set(dut.ended[unit.name.lower()], ends)
                if ends:
                    self.ends[self.running.pop(unit)] = cycle
                    del left[unit]
            left = {unit: cycles - 1 for unit, cycles in left.items()}
            if self.event and len(self.log) >= self.event[0]:
                self.later -= 1
            if self.event and self.later < 0:
                for port, value in self.event[1](self).items():
                    ctx.set(getattr(dut, port), value)
                self.event = None
            _, _, taken, *counted = await ctx.tick().sample(
                dut.instructions.ready & dut.instructions.valid, *dut.counted.as_value()
            )
            if taken:
                self.takes.append(cycle)
            cycle += 1
            for name, more in zip(self.counted, counted, strict=True):
                self.counted[name] += more
            self.fetches += ctx.get(dut.fetch)
            if ctx.get(dut.halt):
                self.halts += 1
                left, halted = {}, 7
            halted = max(halted - 1, 0)
            ctx.set(dut.draining, halted != 0)
            for unit, number in self.running.items():
                assert self._task(ctx, unit) == bits(self.instructions[number])
            starts = [op for op in EXECUTED if ctx.get(dut.starts[op.name.lower()])]
            assert len(starts) <= 1
            if starts and not self.halts:
                number = len(self.log)
                instruction, unit = self.instructions[number], Unit.of(starts[0])
                assert instruction.opcode == starts[0]
                assert not needed(instruction) & set(self.running)
                self.log.append(starts[0])
                self.starts.append(cycle)
                self.running[unit] = number
                left[unit] = self.take(instruction)
            running = {unit for unit in Unit if ctx.get(dut.running[unit.name.lower()])}
            assert set(self.running) <= running or self.halts

    def _task(self, ctx, unit):
        task = ctx.get(self.dut.tasks[unit.name.lower()].as_value())
        return task & (1 << 8 * INSTRUCTION_BYTES) - 1


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
    """All begin in order, none before what it waits for has ended; END waits for all."""
    rng, dut = random.Random(seed), Sequencer(PARAMS)
    instructions = program(rng, 60)
    units = Units(dut, instructions, seed, pauses=rng.choice([0, 0.5]))
    products = [i for i in instructions if i.opcode == Opcode.MATVEC]
    encodings = [i for i in instructions if i.opcode == Opcode.ENCODE]

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[:-1]]
        assert sorted(units.ends) == list(range(60))
        assert ctx.get(dut.done)
        assert ctx.get(dut.error) == Error.NONE
        assert ctx.get(dut.number) == 60
        assert (units.fetches, units.halts) == (1, 1)
        assert units.counted["encode"] == sum(not i["uncounted"] for i in encodings)
        assert units.counted["matvec"] == sum(i["drain"] not in ATTENTION for i in products)

    run(dut, units, check)


@pytest.mark.parametrize("seed", range(4))
def test_cycles_of_issue(seed):
    """An instruction begins once it is decoded and what it waits for has ended."""
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(seed), 50)
    units = Units(dut, instructions, seed, pauses=0)

    def check(ctx):
        for number, start in enumerate(units.starts):
            waits = needed(instructions[number])
            before = [i for i in range(number) if Unit.of(instructions[i].opcode) in waits]
            ended = max((units.ends[i] + ISSUE for i in before), default=0)
            assert start == max(ended, units.takes[number] + decode_cycles(0) + 1)
            assert units.takes[number + 1] == start

    run(dut, units, check)


def test_all_units_run_at_once():
    """One that waits for none begins beside what runs; one that needs a busy unit does not."""
    dut = Sequencer(PARAMS)
    order = [Opcode.MATVEC, Opcode.ENCODE, Opcode.GATE, Opcode.LOAD, Opcode.NORM]
    instructions = [Instruction(op, OPERANDS.get(op, {"count": 3})) for op in order]
    units = Units(dut, [*instructions, Instruction(Opcode.END)], 1, take=lambda _: 100, pauses=0)

    def check(ctx):
        assert units.starts[3] < units.ends[0]
        assert units.starts[4] == units.ends[2] + ISSUE

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
        assert sorted(units.ends) == list(range(place))
        assert not ctx.get(dut.done)
        assert ctx.get(dut.error) == Error.PROGRAM
        assert ctx.get(dut.number) == place
        assert units.halts == 1

    run(dut, units, check)


def failed(unit):
    """Device memory refuses what a unit asks for."""
    return lambda _: {"failed": {unit.name.lower(): 1}}


def refused(unit):
    """The matrix unit refuses its task."""
    return lambda _: {"refused": Error.MEMORY, "encode_refused": unit == Unit.ENCODE}


@pytest.mark.parametrize(
    ("event", "unit", "error"),
    [
        *((failed(unit), unit, Error.RESPONSE) for unit in (Unit.LOAD, Unit.VECTOR, Unit.MATVEC)),
        *((refused(unit), unit, Error.MEMORY) for unit in (Unit.ENCODE, Unit.MATVEC)),
    ],
)
@pytest.mark.parametrize("place", [9, 12, 17])
def test_failure(event, unit, error, place):
    """The program stops, and names the instruction at fault whatever began after it."""
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(place), 30)
    opcode = next(op for op in OPERANDS if Unit.of(op) == unit)
    instructions[place // 2] = Instruction(opcode, OPERANDS[opcode])  # the unit has one at least
    units = Units(dut, instructions, 1, event=(place, event))
    of_unit = [i for i in range(place) if Unit.of(instructions[i].opcode) == unit]

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[: len(units.log)]]
        assert place <= len(units.log) <= place + 1
        assert ctx.get(dut.number) == of_unit[-1]
        assert not ctx.get(dut.done)
        assert not ctx.get(dut.running.as_value())
        assert ctx.get(dut.error) == error
        assert units.halts == 1

    run(dut, units, check)


def test_failure_while_another_begins():
    """The fault's own instruction is named, in whichever cycle of an issue it is told."""
    instructions = [Instruction(Opcode.LOAD, OPERANDS[Opcode.LOAD])]
    instructions += [Instruction(Opcode.GATE, {"count": 3}), Instruction(Opcode.END)]
    begun = set()
    for later in range(decode_cycles(0) + 8):
        dut = Sequencer(PARAMS)
        event = 1, failed(Unit.LOAD)
        units = Units(dut, instructions, 1, event=event, later=later, take=lambda _: 60, pauses=0)

        def check(ctx, dut=dut):
            assert ctx.get(dut.number) == 0
            assert ctx.get(dut.error) == Error.RESPONSE

        run(dut, units, check)
        begun.add(len(units.log))
    assert begun == {1, 2}  # the issue is among the cycles


@pytest.mark.parametrize("needed", [False, True])
def test_unreadable_instruction(needed):
    """It stops the program where it is needed, not behind its end."""
    dut = Sequencer(PARAMS)
    instructions = program(random.Random(7), 9)
    last = instructions[:-1] if needed else instructions
    units = Units(dut, last, 1, event=(9, lambda _: {"unreadable": 1}))

    def check(ctx):
        assert units.log == [i.opcode for i in instructions[:-1]]
        assert ctx.get(dut.done) != needed
        assert ctx.get(dut.error) == (Error.RESPONSE if needed else Error.NONE)

    run(dut, units, check)
