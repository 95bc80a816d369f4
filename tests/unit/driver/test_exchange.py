"""A recorded exchange with the simulated board, replayed on either side of the line.

``python -m tools.record_link`` records it anew, where the link changes.
"""

import json

import pytest
from amaranth.sim import Simulator

from hw.bus.csr import ADDRESS_WIDTH
from hw.link.host_link import HostLink
from hw.spec.link import Answer, Command, Deframer, Identity, Request, frame
from sw.errors import UserError
from tests.unit.hw.link.line import Line
from tools.record_link import FILE, talk

DIVISOR = 3


@pytest.fixture(scope="module")
def recorded():
    return json.loads(FILE.read_text("utf-8"))


class Replay:
    """The board's side of the recording: answers what was sent then, and nothing else."""

    port = "a recording"

    def __init__(self, recorded):
        self._turns = [[bytes.fromhex(part) for part in turn] for turn in recorded["turns"]]
        self._sent, self._heard = b"", b""

    @property
    def over(self):
        return not self._turns and not self._heard

    def write(self, octets):
        self._sent += octets
        expected, answer = self._turns[0]
        assert expected.startswith(self._sent), "the host sends what it sent then"
        if self._sent == expected:
            self._sent, self._heard = b"", self._heard + answer
            del self._turns[0]

    def read(self, timeout):
        octets, self._heard = self._heard[:3], self._heard[3:]
        return octets

    def close(self):
        pass


def test_the_host_s_side(recorded):
    replay = Replay(recorded)
    assert talk(replay) == recorded["found"]
    assert replay.over


def test_a_changed_answer_is_noticed(recorded):
    """Breaks the recording on purpose: an answer with another word in it."""
    turns = [list(turn) for turn in recorded["turns"]]
    content = Deframer().feed(bytes.fromhex(turns[1][1]))[0]
    turns[1][1] = frame(content[:2] + b"none").hex()
    assert talk(Replay({**recorded, "turns": turns})) != recorded["found"]
    turns[1][1] = frame(content[:1] + b"\x01").hex()
    with pytest.raises(UserError, match="refused"):
        talk(Replay({**recorded, "turns": turns}))


def test_the_board_s_side(recorded):
    """Gateware, down to bits, answers the first of it byte by byte; no core is behind it."""
    turns = [[bytes.fromhex(part) for part in turn] for turn in recorded["turns"]][:5]
    identity = Identity.unpack(Answer.unpack(Deframer().feed(turns[0][1])[0]).payload)
    assert identity.session == recorded["session"]
    dut = HostLink(divisor=DIVISOR, clock=identity.clock, memory=identity.memory)
    line = Line(dut.rx, dut.tx, divisor=DIVISOR)
    values = {}
    for sent, heard in turns[1:]:
        request = Request.unpack(Deframer().feed(sent)[0])
        assert request.command == Command.READ_REGISTER
        values[request.address] = Answer.unpack(Deframer().feed(heard)[0]).payload
    assert all(address < 1 << ADDRESS_WIDTH for address in values)

    async def bench(ctx):
        for sent, heard in turns:
            await line.send(ctx, sent)
            found = b""
            while len(found) < len(heard):
                await ctx.tick().repeat(10)
                found += line.take()
            assert found == heard

    async def core(ctx):
        axi = dut.registers
        ctx.set(axi.arready, 1)
        async for _, _, valid, address in ctx.tick().sample(axi.arvalid, axi.araddr):
            ctx.set(axi.rvalid, valid)
            ctx.set(axi.rdata, int.from_bytes(values.get(address, b""), "little"))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(core)
    simulator.add_process(line.listen)
    simulator.run()
