"""The simulated board: from the bitstream's Verilog down to serial bits, the shipped driver."""

import pytest
import torch

from sim.board import SimulatedBoard
from sim.damage import FrameDamage
from sim.pty_board import PtyBoard
from sw.compile.program import compile_program
from sw.driver.decoder import TokenDecoder
from sw.driver.serial import SerialTransport
from sw.driver.token import TokenDevice
from sw.opening import golden_model, open_model, open_params

torch.set_num_threads(1)
pytestmark = [pytest.mark.slow, pytest.mark.rtl]

CONFIG = "ulx3s"
PROMPT = [1, 2, 3]
TOKENS = 16


@pytest.fixture(scope="module")
def model():
    return open_model(None)


@pytest.fixture(scope="module")
def expected(model):
    """The golden model's tokens."""
    golden = golden_model(model, table=model.table, params=open_params(CONFIG))
    tokens = [int(golden.prefill(PROMPT)[-1].argmax())]
    for _ in range(TOKENS):
        tokens.append(int(golden.step(tokens[-1]).argmax()))
    return tokens


@pytest.mark.parametrize("damage", [0.0, 0.01])
def test_tokens(model, expected, damage):
    """A cold start: the whole model comes over the line; a hundredth of the frames is damaged."""
    params = open_params(CONFIG)
    program = compile_program(model, params, name=CONFIG)
    assert program.context == model.config.context
    ways = [FrameDamage(damage, seed=i) for i in range(2)]
    with (
        SimulatedBoard(params) as board,
        PtyBoard(board, to_board=ways[0], from_board=ways[1]) as served,
        SerialTransport(served.port, patience=60) as transport,
    ):
        decoder = TokenDecoder(TokenDevice(transport, params, program))
        tokens = [int(decoder.prefill(PROMPT)[-1].argmax())]
        for _ in range(TOKENS):
            tokens.append(int(decoder.step(tokens[-1]).argmax()))
        assert tokens == expected
        assert board.framing_errors == 0
        assert min(way.frames for way in ways) > 1000
        if damage:
            assert all(len(way.done) == 4 for way in ways) and transport.session.resent
