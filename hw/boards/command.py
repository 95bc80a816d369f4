"""The part of ``python -m hw.build`` that is about boards."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from fractions import Fraction

from rich.console import Console

from hw.boards.board import Board
from hw.boards.catalog import BOARDS
from hw.boards.check import refusal, summary
from hw.boards.constraints import constraints, file_name
from hw.boards.design import BAUD
from hw.boards.flow import FlowError, build_board
from hw.spec.configs import CONFIGS
from hw.synth.tools import ToolError


def add_options(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--board", help="make a bitstream for this board")
    parser.add_argument("--list-boards", action="store_true", help="list the boards and stop")
    parser.add_argument(
        "--check", action="store_true", help="say whether it fits the board, and stop"
    )
    parser.add_argument("--mhz", type=Fraction, help="clock of the core; the board's if absent")
    parser.add_argument("--baud", type=int, default=BAUD, help=f"of the serial line; {BAUD}")
    parser.add_argument("--seed", type=int, default=1, help="of the placer; 1")


def list_boards() -> int:
    """Print the boards; return the exit code."""
    for board in BOARDS.values():
        clock = f"{float(board.megahertz):g} MHz" if board.device else "constraints only"
        print(f"{board.name:14} {board.title}, {clock}")
    return 0


def run(options: Namespace) -> int:
    """Build or check; return the exit code."""
    try:
        return _run(options)
    except (FlowError, ToolError) as error:
        print(f"{str(error)[0].upper()}{str(error)[1:]}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot write to {options.out}: {error.strerror}.", file=sys.stderr)
        return 2


def _run(options: Namespace) -> int:
    if options.board not in BOARDS:
        known = ", ".join(BOARDS)
        print(f"There is no board {options.board!r}; choose {known}.", file=sys.stderr)
        return 2
    board = BOARDS[options.board]
    config = options.config or board.config
    if config not in CONFIGS:
        known = ", ".join(CONFIGS)
        print(f"There is no configuration {config!r}; choose {known}.", file=sys.stderr)
        return 2
    if not board.device:
        return _only_constraints(board, options)
    why = refusal(board, config)
    if options.check:
        print(summary(board, config))
    if why:
        raise FlowError(why)
    if options.check:
        return 0
    if options.out is None:
        print("Name a folder for the results with --out.", file=sys.stderr)
        return 2
    found = build_board(
        board,
        config,
        options.out,
        megahertz=options.mhz or board.megahertz,
        baud=options.baud,
        seed=options.seed,
        console=Console(highlight=False, soft_wrap=True),
    )
    print(
        f"{options.out / board.name}.bit: {found['clock_mhz']:g} MHz reached, "
        f"{found['target_mhz']:g} MHz wanted; see {options.out / 'report.md'}"
    )
    return 0


def _only_constraints(board: Board, options: Namespace) -> int:
    """Write what there is for a board without open tools."""
    if options.check or options.out is None:
        raise FlowError(
            f"{board.name} has no bitstream here, only constraints for its vendor's tool; name a "
            "folder for them with --out, or choose a board with an ECP5"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / file_name(board)
    path.write_text(constraints(board), encoding="utf-8")
    print(path)
    return 0
