"""A unit that executes vector instructions, beside its vector memory."""

from __future__ import annotations

import random
from typing import NamedTuple

from amaranth.hdl import Module, Value
from amaranth.sim import Simulator

from hw.spec.params import CoreConfig, CoreParams
from hw.vector.memory import READ_LATENCY, ReadSignature, VectorMemory, WriteSignature

TOP = (1 << 23) - 1


class Executed(NamedTuple):
    """What a unit did.

    Attributes
    ----------
    cycles : list of int
        From each instruction's start to its done.
    held : list of tuple of int
        At each done, what the unit holds.
    traffic : list of list of tuple of int
        Per instruction and cycle, start and done included, the values that are watched.
    words : list of int
        Vector memory after the last instruction.
    """

    cycles: list[int]
    held: list[tuple]
    traffic: list[list[tuple]]
    words: list[int]


def params(*, width, words, max_inputs=128):
    """Return parameters of a core with a vector unit."""
    config = CoreConfig(memory="axi", vector_words=words, vector_width=width, max_inputs=max_inputs)
    return CoreParams(config)


class Layout:
    """Puts operands into vector memory, great words all around them.

    Parameters
    ----------
    width : int
        Operands begin at multiples of it.
    """

    def __init__(self, width):
        self.width, self.words = width, []
        self.rng = random.Random(width)

    def add(self, values):
        """Append words; return their address."""
        self.fill()
        self.words.extend(values)
        return len(self.words) - len(values)

    def fill(self):
        """Append a beat and more of great words, so that operands or the memory may end there."""
        count = self.width + -len(self.words) % self.width
        self.words.extend(self.rng.choice((TOP, -TOP, 127 + 256 * 31)) for _ in range(count))


def execute(unit, words, steps, *, watch=(), held=(), seed=0):
    """Execute instructions, one after the other, and check what holds for every unit.

    Between instructions the instruction's ports show anything, the memory's are silent.

    Parameters
    ----------
    unit : Component
        What executes them.
    words : list of int
        All words of vector memory.
    steps : sequence of (Instruction, int)
        Instructions and their counts.
    watch : sequence of Value
        What is recorded; 0 outside of instructions.
    held : sequence of Value
        What changes with done only.
    seed : int
        Of the pauses between instructions and of what stands on the ports meanwhile.

    Returns
    -------
    Executed
    """
    rng = random.Random(seed)
    m, store, look = _beside_memory(unit)
    members = (("a", "address"), ("b", "address"), ("write", "mask"), ("write", "words"))
    silent = [*watch] + [
        Value.cast(getattr(getattr(unit, port), member))
        for port, member in members
        if hasattr(unit, port)
    ]
    executed = Executed([], [], [], [])
    width = unit.params.vector_width

    async def bench(ctx):
        for first in range(0, len(words), width):
            ctx.set(store.address, first)
            ctx.set(store.words, words[first : first + width])
            ctx.set(store.mask, (1 << width) - 1)
            await ctx.tick()
        ctx.set(store.mask, 0)
        ctx.set(Value.cast(store.words), 0)
        ctx.set(store.address, 0)
        for instruction, count in steps:
            _show(ctx, unit, int.from_bytes(instruction.encode(), "little"), count)
            ctx.set(unit.start, 1)
            kept, records, done = None, [], False
            while not done:
                _, _, done, *values = await ctx.tick().sample(unit.done, *held, *watch)
                ctx.set(unit.start, 0)
                holding, record = tuple(values[: len(held)]), tuple(values[len(held) :])
                assert done or kept in (None, holding), "changed before done"
                kept = holding
                records.append(record)
                assert len(records) < 10_000, "no done"
            executed.cycles.append(len(records) - 1)
            executed.held.append(kept)
            executed.traffic.append(records)
            _show(ctx, unit, rng.getrandbits(512), rng.getrandbits(16))
            for _ in range(rng.choice((0, 0, 1, 30))):
                await ctx.tick()
                assert not any(ctx.get(value) for value in (*silent, unit.done))
                assert tuple(ctx.get(value) for value in held) == kept, "changed after done"
        for first in range(0, len(words), width):
            ctx.set(look.address, first)
            await ctx.tick().repeat(READ_LATENCY)
            executed.words.extend(ctx.get(look.words))

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return executed


def _show(ctx, unit, instruction, count):
    """Set what the sequencer offers."""
    ctx.set(Value.cast(unit.instruction), instruction)
    ctx.set(unit.count, count)


def _beside_memory(unit):
    """Join the ports of a unit and those of the test by OR, as in the core."""
    m = Module()
    m.submodules.unit = unit
    m.submodules.memory = memory = VectorMemory(unit.params)
    store, look = WriteSignature(unit.params).create(), ReadSignature(unit.params).create()
    m.d.comb += [
        memory.a.address.eq(unit.a.address),
        memory.b.address.eq(unit.b.address | look.address),
        unit.a.words.eq(memory.a.words),
        unit.b.words.eq(memory.b.words),
        look.words.eq(memory.b.words),
    ]
    writers = [store, unit.write] if hasattr(unit, "write") else [store]
    for member in ("address", "words", "mask"):
        joined = 0
        for writer in writers:
            joined |= Value.cast(getattr(writer, member))
        m.d.comb += Value.cast(getattr(memory.write, member)).eq(joined)
    return m, store, look


def inputs_of(records, width):
    """Return (address, element) of every element that went to the input buffer.

    Parameters
    ----------
    records : sequence of (int, int, int)
        ``en``, ``address`` and the bits of ``data``, per cycle.
    width : int
        Elements of a beat.
    """
    written = []
    for en, address, bits in records:
        for i in range(width):
            if en >> i & 1:
                element = bits >> 16 * i & 0xFFFF
                written.append((address + i, element - (element >> 15 << 16)))
    return written
