"""Digilent Arty A7-100T: its constraints, for the vendor's tool; no bitstream here."""

from hw.boards.board import Board

ARTY_A7_100T = Board(
    name="arty-a7-100t",
    title="Digilent Arty A7-100T",
    platform="arty_a7:ArtyA7_100Platform",
    clock=("clk100", 0),
    rx=("uart", 0, "rx"),
    tx=("uart", 0, "tx"),
    reset=("rst", 0),
    leds=tuple(("led", i) for i in range(4)),
)
