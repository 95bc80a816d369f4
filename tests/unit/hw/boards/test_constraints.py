# amaranth: UnusedElaboratable=no
"""Constraints in the repository are those of amaranth-boards."""

from pathlib import Path

import pytest

from hw.boards.catalog import BOARDS
from hw.boards.constraints import constraints, file_name
from hw.boards.flow import design
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_files_have_not_drifted(board):
    """If this fails, run ``python -m tools.docs``."""
    path = ROOT / "constraints" / file_name(board)
    assert path.read_text("utf-8") == constraints(board)


def test_no_file_is_left_over():
    found = {path.name for path in (ROOT / "constraints").iterdir()} - {"README.md"}
    assert found == {file_name(board) for board in BOARDS.values()}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_port_has_a_pin(board):
    params = CoreParams(CONFIGS[board.config])
    if board.device:
        ports = set(design(board, params, megahertz=board.megahertz).signature.members)
        assert set(board.pins()) == ports
    sites = [pin.site for pin in board.pins().values()]
    assert len(set(sites)) == len(sites)


def test_pins_of_the_ulx3s():
    """From the schematic of the ULX3S: oscillator G2, FTDI M1 and L4."""
    text = constraints(BOARDS["ulx3s-85f"])
    for line in (
        'LOCATE COMP "clk" SITE "G2";',
        'LOCATE COMP "rx" SITE "M1";',
        'LOCATE COMP "tx" SITE "L4";',
        'FREQUENCY PORT "clk" 25 MHZ;',
    ):
        assert line in text.splitlines()


def test_an_xdc():
    text = constraints(BOARDS["arty-a7-100t"])
    assert "set_property -dict { PACKAGE_PIN E3 IOSTANDARD LVCMOS33 } [get_ports clk]" in text
    assert "create_clock -name clk -period 10 [get_ports clk]" in text


def test_what_is_low_when_on_is_inverted():
    pins = BOARDS["ecpix5-85f"].pins()
    assert pins["led0"].inverted and pins["reset"].inverted and not pins["rx"].inverted
    assert not any(pin.inverted for pin in BOARDS["ulx3s-85f"].pins().values())
