"""The serial transport, through a pseudo-terminal, on a board made of software."""

import os
import time

import numpy as np
import pytest
import torch

from hw.spec.link import PAYLOAD
from hw.spec.registers import REGISTERS
from sim.damage import FrameDamage
from sim.link_model import LinkModel
from sim.pty_board import PtyBoard
from sw.compile.program import compile_program
from sw.driver import serial
from sw.driver.golden_transport import GoldenTransport
from sw.driver.serial import SerialTransport
from sw.driver.token import TokenDevice
from sw.errors import UserError
from tests.unit.compile.programs import best_of, golden_of, small_core, small_model

torch.set_num_threads(1)

MODEL = small_model(9)
PARAMS = small_core()
MEMORY = PARAMS.memory_beats * PARAMS.beat_bits // 8


@pytest.fixture(scope="module")
def program():
    return compile_program(MODEL, PARAMS, name="small")


@pytest.fixture
def core():
    return GoldenTransport(PARAMS)


@pytest.fixture
def board(core):
    with PtyBoard(LinkModel(core, memory=MEMORY)) as board:
        yield board


@pytest.fixture
def transport(board):
    with SerialTransport(board.port) as transport:
        yield transport


def generate(transport, program, count=5):
    """Make tokens; return them, and those of the golden model."""
    device = TokenDevice(transport, PARAMS, program)
    golden = golden_of(MODEL, PARAMS)
    found, expected = [], []
    token = 1
    for position in range(count):
        expected.append(best_of(golden.step(token), PARAMS.best))
        found.append(device.step(token, position))
        token = found[-1][0].id
    return found, expected


def test_tokens(transport, program):
    found, expected = generate(transport, program)
    assert found == expected
    assert transport.session.dropped == 0


@pytest.mark.parametrize("seed", range(3))
def test_tokens_over_a_damaged_line(core, program, seed):
    """A twentieth of the frames, either way: all are sent again until they arrive, none twice."""
    ways = [FrameDamage(0.05, seed=2 * seed + i) for i in range(2)]
    model = LinkModel(core, memory=MEMORY)
    with (
        PtyBoard(model, to_board=ways[0], from_board=ways[1]) as board,
        SerialTransport(board.port) as transport,
    ):
        found, expected = generate(transport, program)
        assert found == expected
        assert all(way.done for way in ways) and transport.session.resent
        assert model.repeated


def test_memory(transport, core):
    rng = np.random.default_rng(1)
    octets = rng.integers(0, 256, 3 * PAYLOAD + 4, dtype=np.uint8)
    transport.load(64, octets)
    assert (transport.dump(64, len(octets)) == octets).all()
    assert (core.dump(64, len(octets)) == octets).all()
    transport.load(0, octets[:0])
    with pytest.raises(UserError, match=rf"has {MEMORY} bytes of device memory, {MEMORY + 4} are"):
        transport.load(MEMORY - 4, octets[:8])
    with pytest.raises(ValueError, match="words of 4 bytes, not 3 bytes from address 64"):
        transport.load(64, octets[:3])


def test_registers(transport):
    address = REGISTERS["weight_base"].address
    transport.write(address, 0xFFFF_FFF1)
    assert transport.read(address) == 0xFFFF_FFF1
    count = PARAMS.vector_words
    transport.write(REGISTERS["vector_address"].address, 0)
    window = REGISTERS["vector_data"].address
    words = np.arange(count, dtype=np.uint32)
    transport.write_window(window, words)
    transport.write(REGISTERS["vector_address"].address, 0)
    assert (transport.read_window(window, count) == words).all()
    with pytest.raises(UserError, match=r"the board refused a read of register 0xf4 \(refused\)"):
        transport.read(0xF4)


def test_writes_leave_with_the_next_read(transport, core):
    address = REGISTERS["weight_base"].address
    transport.write(address, 5)
    assert core.read(address) == 0
    assert transport.read_all([address, 0]) == [5, core.read(0)]
    for value in range(100):
        transport.write(address, value)
    assert core.read(address) >= 60
    transport.write(0xF4, 1)
    with pytest.raises(UserError, match=r"refused a write to register 0xf4 \(refused\)"):
        transport.read(address)
    assert transport.read(address) == 99


def test_wait_counts_the_board_s_cycles(transport):
    address = REGISTERS["status"].address
    transport.wait(address, 1, 0, 10)
    with pytest.raises(TimeoutError, match=r"0x14 did not become 0x1 \(mask 0x1\) within 5000"):
        transport.wait(address, 1, 1, 5000)


def test_time_is_the_board_s(transport):
    assert transport.clock == 50_000_000 and transport.cycles == 0
    begun = time.monotonic()
    transport.tick(500_000)
    assert time.monotonic() - begun >= 0.01


def test_another_bitstream(board, program):
    with SerialTransport(board.port) as transport:
        other = small_core(vector_width=1)
        with pytest.raises(UserError, match="was built for configuration .* --config"):
            TokenDevice(transport, other, program)


def test_a_port_that_is_not_there():
    with pytest.raises(UserError, match="there is no serial port /dev/nothing; plug the board in"):
        SerialTransport("/dev/nothing")


def test_a_port_that_is_none(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(UserError, match=r"port .*/file cannot be opened \(.*\); name another"):
        SerialTransport(str(path))


def test_nothing_answers():
    own, other = os.openpty()
    with pytest.raises(UserError, match="nothing answers on the serial line: is the board powered"):
        SerialTransport(os.ttyname(other), patience=0.3)
    os.close(own)
    os.close(other)


class Echo:
    """Sends back what comes: a modem, another board."""

    def __init__(self):
        self.octets = b""

    def push(self, octets):
        self.octets += octets

    def run(self, cycles):
        octets, self.octets = self.octets, b""
        return octets


def test_something_else_answers():
    with (
        PtyBoard(Echo()) as board,
        pytest.raises(UserError, match="does not speak this driver's link: .*; build its bit"),
    ):
        SerialTransport(board.port, patience=0.5)


class Silent(LinkModel):
    """A board that stops."""

    dead = False

    def push(self, octets):
        if not self.dead:
            super().push(octets)


def test_the_board_stops_in_the_middle(core):
    model = Silent(core, memory=MEMORY)
    with PtyBoard(model) as board, SerialTransport(board.port, patience=0.4) as transport:
        transport.read(0)
        model.dead = True
        with pytest.raises(UserError, match="the board on .* stopped answering; reset it and run"):
            transport.read(0)


def test_the_cable_is_pulled_and_the_next_run_works(core, program):
    model = LinkModel(core, memory=MEMORY)
    board = PtyBoard(model)
    with SerialTransport(board.port, patience=1) as transport:
        transport.read(0)
        board.close()
        with pytest.raises(UserError, match="the serial line .* broke off .*; plug the board in"):
            transport.load(0, np.zeros(64 * PAYLOAD, np.uint8))
    with PtyBoard(model) as again, SerialTransport(again.port) as transport:
        found, expected = generate(transport, program, count=2)
        assert found == expected


def test_the_board_is_started_anew_in_the_middle(core):
    model = LinkModel(core, memory=MEMORY)
    with PtyBoard(model) as board, SerialTransport(board.port) as transport:
        transport.read(0)
        model.__init__(core, memory=MEMORY)
        with pytest.raises(UserError, match="was started anew in the middle; run the command agai"):
            transport.read(0)


def test_progress(board):
    seen = []
    with SerialTransport(board.port, progress=lambda *done: seen.append(done)) as transport:
        transport.load(0, np.zeros(10 * PAYLOAD, np.uint8))
    assert seen[-1] == (10 * PAYLOAD, 10 * PAYLOAD)
    assert sorted(seen) == seen


def test_ports_are_listed(monkeypatch):
    class Port:
        device = "/dev/ttyUSB7"

    monkeypatch.setattr(serial.list_ports, "comports", lambda: [Port])
    assert serial.ports() == ["/dev/ttyUSB7"]
