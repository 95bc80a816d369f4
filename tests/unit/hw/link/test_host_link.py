"""The whole link, from bits to accesses: the same answers as those of its integer model."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.bus.axi4_lite import SLVERR
from hw.link.host_link import HostLink
from hw.spec.link import PAYLOAD, WINDOW, Answer, Command, Deframer, Request, Status, frame
from sim.damage import FrameDamage
from sim.link_model import LinkModel
from sw.driver.transport import Transport
from tests.unit.hw.link.line import Line

MEMORY = 1024
CLOCK = 12_000_000
DIVISOR = 3


class Things(Transport):
    """Registers that remember, of which one counts its reads and one refuses; and a memory."""

    REFUSES, COUNTS = 0x20, 0x24

    def __init__(self):
        self.registers, self.memory = {}, np.zeros(MEMORY, np.uint8)
        self.log = []

    def read(self, address):
        self.log.append(("read", address))
        if address == self.REFUSES or address >= 256:
            raise ValueError(address)
        if address == self.COUNTS:
            self.registers[address] = self.registers.get(address, 0) + 1
        return self.registers.get(address, 0)

    def write(self, address, value):
        self.log.append(("write", address, value))
        if address == self.REFUSES or address >= 256:
            raise ValueError(address)
        self.registers[address] = value

    def load(self, address, octets):
        self.memory[address : address + len(octets)] = octets

    def dump(self, address, count):
        return self.memory[address : address + count]

    write_window = read_window = wait = tick = close = cycles = None


class Bench:
    """A link between a line and things."""

    def __init__(self, *, seed=0):
        self.dut = HostLink(divisor=DIVISOR, clock=CLOCK, memory=MEMORY)
        self.things, self.rng = Things(), random.Random(seed)

    async def registers(self, ctx):
        """Answer AXI4-Lite, with pauses; a process."""
        axi, rng = self.dut.registers, self.rng
        names = ("awvalid", "awaddr", "wvalid", "wdata", "wstrb", "arvalid", "araddr")
        ready = dict.fromkeys(("aw", "w", "ar"), 0)
        address = data = None
        answering = None
        sampled = ctx.tick().sample(axi.bready, axi.rready, *(getattr(axi, n) for n in names))
        async for _, _, bready, rready, *values in sampled:
            now = dict(zip(names, values, strict=True))
            assert not answering or (bready and rready)
            if answering:
                ctx.set(getattr(axi, f"{answering}valid"), 0)
                answering = None
            if now["awvalid"] and ready["aw"]:
                address = now["awaddr"]
            if now["wvalid"] and ready["w"]:
                assert now["wstrb"] == 0b1111
                data = now["wdata"]
            if address is not None and data is not None:
                answering = "b"
                try:
                    self.things.write(address, data)
                    ctx.set(axi.bresp, 0)
                except ValueError:
                    ctx.set(axi.bresp, SLVERR)
                address = data = None
            elif now["arvalid"] and ready["ar"]:
                answering = "r"
                try:
                    ctx.set(axi.rdata, self.things.read(now["araddr"]))
                    ctx.set(axi.rresp, 0)
                except ValueError:
                    ctx.set(axi.rresp, SLVERR)
            if answering:
                ctx.set(getattr(axi, f"{answering}valid"), 1)
            for name in ready:
                ready[name] = rng.random() < 0.5
                ctx.set(getattr(axi, f"{name}ready"), ready[name])

    async def device(self, ctx):
        """Answer accesses of device memory, with pauses; a process."""
        port, rng = self.dut.device, self.rng
        ready, due = 0, None
        sampled = ctx.tick().sample(port.valid, port.write, port.address, port.data)
        async for _, _, valid, write, address, data in sampled:
            ctx.set(port.answered, 0)
            if due is None and valid and ready:
                due = (rng.randrange(4), write, address, data)
            elif due is not None and due[0]:
                due = (due[0] - 1, *due[1:])
            elif due is not None:
                _, write, address, data = due
                due = None
                beyond = address >= MEMORY
                ctx.set(port.answered, 1)
                ctx.set(port.refused, beyond)
                if write and not beyond:
                    self.things.load(address, np.frombuffer(data.to_bytes(4, "little"), np.uint8))
                elif not beyond:
                    ctx.set(port.answer, int.from_bytes(self.things.dump(address, 4), "little"))
            ready = due is None and rng.random() < 0.5
            ctx.set(port.ready, ready)

    def run(self, bench):
        """Simulate; ``bench`` gets a line to the board."""
        line = Line(self.dut.rx, self.dut.tx, divisor=DIVISOR)

        async def testbench(ctx):
            await bench(ctx, line)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        for process in (self.registers, self.device, line.listen):
            simulator.add_process(process)
        simulator.run()


async def ask(ctx, line, request, deframer):
    """Send a request; return the answers that come, one at least."""
    await line.send(ctx, frame(request.pack()))
    return await hear(ctx, line, deframer)


async def hear(ctx, line, deframer):
    found = []
    for _ in range(400):
        await ctx.tick().repeat(30)
        found += map(Answer.unpack, deframer.feed(line.take()))
        if found:
            return found
    raise AssertionError("no answer")


def draw(rng, sequence):
    """Return a request, now and then one that cannot be."""
    command = rng.choice((2, 3, 4, 5, 2, 3, 4, 5, 6, 9))
    count = 4 * rng.choice((1, 2, 3, 10))
    address = 4 * rng.randrange(16) if command in (2, 3) else 4 * rng.randrange(MEMORY // 4)
    if command == 6:
        address, count = 0, 0
    payload = rng.randbytes(count) if command in (3, 5) else b""
    if rng.random() < 0.1:
        match rng.randrange(4):
            case 0:
                count += 4
            case 1:
                address += 1
            case 2:
                payload += b"1234"
            case _:
                count = 0
    return Request(
        sequence=sequence, command=command, address=address, count=count, payload=payload
    )


@pytest.mark.parametrize("seed", [1])
def test_the_same_answers_as_the_model(seed):
    """Random requests, many of them wrong, some twice, some out of turn."""
    test, rng = Bench(seed=seed), random.Random(seed)
    things = Things()
    model = LinkModel(things, memory=MEMORY, clock=CLOCK)
    deframer = Deframer()

    def expected(request):
        model.push(frame(request.pack()))
        (content,) = Deframer().feed(model.run(0))
        return Answer.unpack(content)

    async def bench(ctx, line):
        stranger = Request(sequence=3, command=Command.READ_REGISTER, count=4)
        assert await ask(ctx, line, stranger, deframer) == [expected(stranger)]
        hello = Request(sequence=250, command=Command.HELLO, address=0xABCD_0123)
        assert await ask(ctx, line, hello, deframer) == [expected(hello)]
        sequence, sent = 251, []
        for _ in range(25):
            request = draw(rng, sequence % 256)
            if rng.random() < 0.1:
                request = Request(sequence=(sequence + 5) % 256, command=Command.CYCLES)
            elif sent and rng.random() < 0.2:
                request = rng.choice(sent[-WINDOW:])
            elif rng.random() < 0.05:
                request = hello
            else:
                sequence += 1
                sent.append(request)
            (answer,) = await ask(ctx, line, request, deframer)
            wanted = expected(request)
            if request.command == Command.CYCLES and wanted.status == Status.OKAY:
                assert len(answer.payload) == 4 and answer.sequence == wanted.sequence
            else:
                assert answer == wanted
        await ctx.tick().repeat(1000)
        assert not line.take()

    test.run(bench)
    assert test.things.log == things.log
    assert (test.things.memory == things.memory).all() and things.memory.any()


def test_a_window_of_requests_at_once():
    """Requests follow each other without a pause; all are answered, each once, in order."""
    test = Bench(seed=5)

    async def bench(ctx, line):
        deframer = Deframer()
        await ask(ctx, line, Request(sequence=0, command=Command.HELLO, address=1), deframer)
        await line.send(
            ctx,
            b"".join(
                frame(
                    Request(
                        sequence=1 + i,
                        command=Command.WRITE_MEMORY,
                        address=16 * i,
                        count=16,
                        payload=bytes((i + 1,)) * 16,
                    ).pack()
                )
                for i in range(WINDOW)
            ),
        )
        await ctx.tick().repeat(1500)
        answers = [Answer.unpack(content) for content in deframer.feed(line.take())]
        assert answers == [Answer(sequence=1 + i) for i in range(WINDOW)]

    test.run(bench)
    assert (test.things.memory[: 16 * WINDOW : 16] == np.arange(WINDOW) + 1).all()


def test_a_long_read_and_its_repetition():
    test = Bench(seed=6)
    test.things.memory[:] = np.arange(MEMORY) % 251

    async def bench(ctx, line):
        deframer = Deframer()
        await ask(ctx, line, Request(sequence=9, command=Command.HELLO, address=1), deframer)
        read = Request(sequence=10, command=Command.READ_MEMORY, address=8, count=PAYLOAD)
        counts = Request(sequence=11, command=Command.READ_REGISTER, address=Things.COUNTS, count=8)
        for _ in range(2):
            (answer,) = await ask(ctx, line, read, deframer)
            assert answer.payload == test.things.memory[8 : 8 + PAYLOAD].tobytes()
        for _ in range(3):
            (answer,) = await ask(ctx, line, counts, deframer)
            assert answer.payload == bytes.fromhex("01000000 02000000")

    test.run(bench)


@pytest.mark.parametrize("seed", [0])
def test_nothing_is_done_twice_on_a_damaged_line(seed):
    """A host that repeats until it is answered writes numbers; all arrive once, in order."""
    test, damage = Bench(seed=seed), FrameDamage(0.3, seed=seed)
    numbers = list(range(100, 108))

    async def bench(ctx, line):
        deframer = Deframer()
        hello = Request(sequence=20, command=Command.HELLO, address=77)
        await ask(ctx, line, hello, deframer)
        for index, number in enumerate(numbers):
            request = Request(
                sequence=21 + index,
                command=Command.WRITE_REGISTER,
                address=0x30,
                count=4,
                payload=number.to_bytes(4, "little"),
            )
            answers = []
            while request.sequence not in answers:
                await line.send(ctx, damage.pass_on(frame(request.pack())))
                await ctx.tick().repeat(700)
                answers = [Answer.unpack(c).sequence for c in deframer.feed(line.take())]

    test.run(bench)
    assert [entry[2] for entry in test.things.log] == numbers
    assert damage.done
