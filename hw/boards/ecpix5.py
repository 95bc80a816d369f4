"""LambdaConcept ECPIX-5, with an ECP5-5G and USB serial."""

from hw.boards.board import Board

ECPIX5_85F = Board(
    name="ecpix5-85f",
    title="LambdaConcept ECPIX-5 with an LFE5UM5G-85F",
    platform="ecpix5:ECPIX585Platform",
    clock=("clk100", 0),
    rx=("uart", 0, "rx"),
    tx=("uart", 0, "tx"),
    reset=("rst", 0),
    leds=tuple(("rgb_led", i, "g") for i in range(4)),
    device="um5g-85k",
    package="CABGA554",
    loader="openFPGALoader -b ecpix5",
)
