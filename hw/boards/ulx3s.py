"""Radiona ULX3S, an open board with an ECP5 and USB serial."""

from hw.boards.board import Board

ULX3S_85F = Board(
    name="ulx3s-85f",
    title="Radiona ULX3S with an LFE5U-85F",
    platform="ulx3s:ULX3S_85F_Platform",
    clock=("clk25", 0),
    rx=("uart", 0, "rx"),
    tx=("uart", 0, "tx"),
    reset=("button_fire", 0),
    leds=tuple(("led", i) for i in range(4)),
    device="85k",
    package="CABGA381",
    loader="openFPGALoader -b ulx3s",
)

ULX3S_45F = Board(
    name="ulx3s-45f",
    title="Radiona ULX3S with an LFE5U-45F",
    platform="ulx3s:ULX3S_45F_Platform",
    clock=("clk25", 0),
    rx=("uart", 0, "rx"),
    tx=("uart", 0, "tx"),
    reset=("button_fire", 0),
    leds=tuple(("led", i) for i in range(4)),
    device="45k",
    package="CABGA381",
    loader="openFPGALoader -b ulx3s",
)
