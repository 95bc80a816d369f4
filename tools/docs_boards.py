"""The page of boards: what there is, what fits, and what to do with it."""

from __future__ import annotations

from hw.boards.board import Board
from hw.boards.catalog import BOARDS
from hw.boards.check import BUNDLED, DEVICES, board_cost, memory_blocks, nearest, warning
from hw.boards.command import fitting
from hw.boards.design import BAUD
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from tools.markdown import table

TEXT = """\
# Boards

Written by `python -m tools.docs` from `hw/boards` and `hw/synth/cost.py`; do not edit.

## What there is

{boards}
The ULX3S with the LFE5U-85F is the one that this is made for; the same bitstream flow serves the
ECPIX-5. No board was at hand yet: what is shown is the simulated one (`tests/slow/test_board.py`),
and the clock that place and route reached ([history.md](history.md)). The smaller ULX3S has too few
block RAMs: device memory for the bundled model takes {wanted}, an LFE5U-45F has {there}. The -12F
and the -25F have fewer still.

## From nothing to text

    pip install '.[area]'                                # once: synthesis, place and route
    python -m hw.build --board ulx3s-85f --check         # at once: whether it fits
    python -m hw.build --board ulx3s-85f --out board     # a quarter of an hour, about 1 GB
    openFPGALoader -b ulx3s board/ulx3s-85f.bit          # into the FPGA, until power is off
    firstspike generate --backend serial --port /dev/ttyUSB0

The second line says what is predicted; `board/report.md` says afterwards what it took, block by
block, the clock, and the slowest path. Steps whose inputs have not changed are not repeated. Where
the clock misses what is wanted there is a report and no bitstream: lower `--mhz`, or try another
`--seed`. `openFPGALoader` is a package of most distributions; with `-f` it writes the flash of a
board, from which the FPGA starts by itself.

The last command loads the model, {bundled:,} bytes with caches and program, over the serial line
({seconds:.0f} s or more at {baud:,} baud), and generates; `--prompt`, `--temperature` and the like
are as everywhere. If the bitstream was built with another `--config` or `--baud`, name it here too.
Without a board:

    firstspike board-sim        # names a port; in another terminal:
    firstspike generate --backend serial --port PORT

## Lights and the button

| light | means |
| --- | --- |
| 0 | blinks: the FPGA is configured and its clock runs |
| 1 | the core has finished something |
| 2 | a request of the host was executed |
| 3 | bytes pass on the serial line |

The button (FIRE 1 of a ULX3S) resets the core and the link; the next command begins anew.

{pins}
## What fits

Configurations that run tokens by themselves, with weights and caches in block RAM, as
`python -m hw.build --check` predicts them: within a tenth of synthesis, which
`tests/unit/hw/boards/test_check.py` holds them to. Device memory takes the most; place and route
takes about an eighth more sites than there are LUTs.

{configs}
A device has:

{devices}
## When something is wrong

{trouble}
[link.md](link.md) has every message of the link.

## Another board

One file in `hw/boards`: its class of `amaranth-boards`, which knows the pins, the resources of
clock, serial line, button and lights, the device and package as nextpnr names them. Then its name
in `hw/boards/catalog.py`, and `make docs`, which writes its constraints and this page. A device
that is new goes into `DEVICES` of `hw/boards/check.py`. Another configuration is an entry in
`hw/spec/configs.py`: less context needs less `memory_beats`, more `vector_width` more multipliers.

A board without open tools has constraints only (`constraints`): its top has the ports of
`hw/boards/design.py`, whose clock generator is an ECP5's and must be replaced there.
"""

#: What a user may see, and what helps.
TROUBLE = {
    "there is no serial port": "plug the board in; without `--port` the command lists the ports",
    "the port may not be used by you": "join the group that owns it: on most Linux systems "
    "`sudo usermod -aG dialout $USER`, and log in again",
    "nothing answers on the serial line": "the bitstream is not loaded, was built for another "
    "`--baud`, or the port is another device's: light 0 must blink, light 3 flash",
    "the core was built for another configuration": "`--config` with the name that the bitstream "
    "was built with, which `report.json` has",
    "the line broke off, or the board was started anew": "run the command again",
    "a model does not fit": "shorten the context, or build a configuration with more "
    "`memory_beats`",
    "the clock is missed": "lower `--mhz`, or try another `--seed`",
}


def boards_page() -> str:
    """Render the boards, their pins and what fits them."""
    return TEXT.format(
        boards=table(
            ["board", "", "oscillator", "clock of the core", "holds", "loader"],
            map(_board, BOARDS.values()),
        ),
        wanted=memory_blocks(CoreParams(CONFIGS["ulx3s"])),
        there=DEVICES["45k"].bram,
        bundled=BUNDLED,
        baud=BAUD,
        seconds=10 * BUNDLED / BAUD,
        pins=table(
            ["port", *(f"`{board.name}`" for board in BOARDS.values())],
            [
                [f"`{port}`", *(_pin(board, port) for board in BOARDS.values())]
                for port in ("clk", "rx", "tx", "reset", "led0", "led1", "led2", "led3")
            ],
        ),
        trouble=table(["what you see", "what helps"], TROUBLE.items()),
        configs=table(
            ["configuration", "LUT", "DSP", "BRAM", "device memory", "fits", "bundled model"],
            [_config(name) for name in CONFIGS if CONFIGS[name].vector_words],
        ),
        devices=table(
            ["device", "LUT sites", "DSP", "BRAM"],
            [
                [f"`{name}`", f"{there.lut:,}", there.dsp, there.bram]
                for name, there in DEVICES.items()
            ],
        ),
    )


def _board(board: Board) -> list[str]:
    oscillator = f"{float(board.oscillator):g} MHz"
    if not board.device:
        return [f"`{board.name}`", board.title, oscillator, "", "constraints only", ""]
    holds = nearest(board, board.config)
    return [
        f"`{board.name}`",
        board.title,
        oscillator,
        f"{float(board.megahertz):g} MHz",
        f"`{holds}`" if holds else "nothing",
        f"`{board.loader}`",
    ]


def _pin(board: Board, port: str) -> str:
    pin = board.pins().get(port)
    return "" if pin is None else pin.site + " (low means on)" * pin.inverted


def _config(name: str) -> list[str]:
    params = CoreParams(CONFIGS[name])
    cost = board_cost(params)
    fits = [f"`{board}`" for board in fitting(name)]
    return [
        f"`{name}`",
        f"{cost.lut:,}",
        f"{cost.dsp}",
        f"{cost.bram:,}",
        f"{params.memory_bytes:,}",
        ", ".join(fits) or "no board",
        "too large" if warning(name) else "yes",
    ]
