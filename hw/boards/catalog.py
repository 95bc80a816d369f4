"""All boards by name."""

from __future__ import annotations

from hw.boards.arty_a7 import ARTY_A7_100T
from hw.boards.board import Board
from hw.boards.ecpix5 import ECPIX5_85F
from hw.boards.ulx3s import ULX3S_45F, ULX3S_85F

BOARDS: dict[str, Board] = {
    board.name: board for board in (ULX3S_85F, ULX3S_45F, ECPIX5_85F, ARTY_A7_100T)
}
