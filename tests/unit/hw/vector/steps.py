"""Drives a unit that executes instructions, and plays vector memory for it."""

from __future__ import annotations

from amaranth.sim import Simulator

from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import Instruction
from hw.vector.memory import READ_LATENCY


def params(width: int, words: int = 1024, batch: int = 1, *, encoder=False) -> CoreParams:
    """Return parameters of a small core with vector memory."""
    config = CoreConfig(memory="axi", vector_words=words, vector_width=width, batch=batch)
    return CoreParams(config.replace(encoder=encoder))


def execute(dut, instructions, words, *, ports=(), benches=(), pauses=(0,), settle=40, own=()):
    """Execute instructions one after the other.

    Parameters
    ----------
    dut : Component
        With the ports of :func:`hw.vector.step.step_members`, and of vector memory.
    instructions : list of Instruction
        What is executed, ``count`` as it stands there.
    words : list of int
        Vector memory; becomes what the unit leaves.
    ports : list of dict, optional
        Values of further ports, one per instruction, from its start on.
    benches : sequence of callable
        Testbenches of other ports, which run in the background.
    pauses : sequence of int
        Cycles between an instruction and the next, in rotation.
    settle : int
        Cycles after the last instruction.
    own : sequence of str
        Read ports that the unit shares with no other, so that they need not be silent.

    Returns
    -------
    list of int
        Cycles from ``start`` to ``done``, one per instruction.
    """
    members = dut.signature.members
    reads = [getattr(dut, name) for name in "ab" if name in members]
    write = getattr(dut, "write", None)
    width = reads[0].words.shape().length
    taken, busy = [], False

    def beat(address):
        first = address // width * width
        return words[first : first + width]

    def shared(addresses):
        pairs = zip(reads, addresses, strict=False)
        return [pair for pair in pairs if not any(pair[0] is getattr(dut, name) for name in own)]

    async def memory(ctx):
        coming = [[[0] * width] * len(reads)] * (READ_LATENCY - 1)
        sampled = [port.address for port in reads]
        if write:
            sampled += [write.address, write.words, write.mask]
        async for _, _, *values in ctx.tick().sample(*sampled):
            addresses = values[: len(reads)]
            coming.append([beat(address) for address in addresses])
            for port, read in zip(reads, coming.pop(0), strict=True):
                ctx.set(port.words, read)
            if write:
                address, written, mask = values[len(reads) :]
                for i in range(width):
                    if mask >> i & 1:
                        words[address // width * width + i] = written[i]
                assert mask or not (address or any(written[i] for i in range(width)))
            assert busy or not any(address for port, address in shared(values))

    async def sequence(ctx):
        nonlocal busy
        await ctx.tick().repeat(3)
        for number, instruction in enumerate(instructions):
            assert isinstance(instruction, Instruction)
            whole = int.from_bytes(instruction.encode(), "little")
            ctx.set(dut.instruction.as_value(), whole)
            if "count" in members:
                ctx.set(dut.count, instruction["count"])
            for name, value in (ports[number] if ports else {}).items():
                ctx.set(getattr(dut, name), value)
            busy = True
            ctx.set(dut.start, 1)
            await idle(ctx, 1)
            ctx.set(dut.start, 0)
            spent, done = 0, False
            while not done:
                _, _, done = await ctx.tick().sample(dut.done)
                spent += 1
                assert spent < 10_000, "not done"
            taken.append(spent)
            busy = False
            await idle(ctx, pauses[number % len(pauses)])
        ctx.set(dut.instruction.as_value(), (1 << 512) - 1)
        await idle(ctx, settle)

    async def idle(ctx, cycles):
        for _ in range(cycles):
            _, _, done = await ctx.tick().sample(dut.done)
            assert not done

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_process(memory)
    simulator.add_testbench(sequence)
    for bench in benches:
        simulator.add_testbench(bench, background=True)
    simulator.run()
    return taken
