"""The part of ``python -m hw.build`` that is about boards."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from fractions import Fraction

from rich.console import Console

from hw.boards.board import Board
from hw.boards.catalog import BOARDS
from hw.boards.check import nearest, refusal, summary, warning
from hw.boards.constraints import constraints, file_name
from hw.boards.design import BAUD
from hw.boards.flow import FlowError, build_board, check_clock
from hw.spec.configs import CONFIGS
from hw.synth.tools import ToolError

#: Options that mean nothing without a board, and their values if not given.
_OF_BOARDS = {"check": False, "mhz": None, "baud": BAUD, "seed": 1}


def add_options(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--board", help="make a bitstream for this board")
    parser.add_argument("--list-boards", action="store_true", help="list the boards and stop")
    parser.add_argument(
        "--check", action="store_true", help="say whether it fits the board, and stop"
    )
    parser.add_argument(
        "--mhz", type=_megahertz, help="clock of a board's core; that of the board if absent"
    )
    parser.add_argument("--baud", type=int, default=BAUD, help=f"of its serial line; {BAUD}")
    parser.add_argument("--seed", type=int, default=1, help="of its placer; 1")


def _megahertz(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"wanted a number such as 50 or 62.5, not {text!r}") from None


def without_board(options: Namespace) -> str | None:
    """Tell in one sentence that an option is of a board, and there is none; None if all is well."""
    for name, absent in _OF_BOARDS.items():
        if getattr(options, name) != absent:
            return f"--{name} is of a board; name it with --board; --list-boards shows them."
    return None


def fitting(config: str) -> list[str]:
    """Names of the boards that a configuration fits."""
    return [b.name for b in BOARDS.values() if b.device and not refusal(b, config)]


def list_boards() -> int:
    """Print the boards; return the exit code."""
    for board in BOARDS.values():
        if not board.device:
            holds = "constraints only, for its vendor's tool"
        elif config := nearest(board, board.config):
            holds = f"{config}, aiming at {float(board.megahertz):g} MHz"
        else:
            holds = "too small for every configuration"
        print(f"{board.name:14} {board.title}: {holds}")
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
    if options.integrator:
        raise FlowError(
            "a board's core has the integrator of its configuration; leave --integrator out and "
            "choose another --config"
        )
    if not board.device:
        return _only_constraints(board, options)
    megahertz = board.megahertz if options.mhz is None else options.mhz
    why = refusal(board, config)
    if options.check and CONFIGS[config].vector_words:
        print(summary(board, config))
    if why:
        raise FlowError(why)
    check_clock(board, megahertz=megahertz, baud=options.baud)
    if limited := warning(config):
        print(f"Mind that {limited}.")
    if options.check:
        print(f"It fits; place and route tells whether it reaches {float(megahertz):g} MHz.")
        return 0
    if options.out is None:
        print("Name a folder for the results with --out.", file=sys.stderr)
        return 2
    found = build_board(
        board,
        config,
        options.out,
        megahertz=megahertz,
        baud=options.baud,
        seed=options.seed,
        console=Console(highlight=False, soft_wrap=True),
    )
    print(
        f"{options.out / board.name}.bit: {found['clock_mhz']:g} MHz reached, "
        f"{found['target_mhz']:g} MHz wanted; see {options.out / 'report.md'}"
    )
    print(f"Load it with: {board.loader} {options.out / board.name}.bit")
    return 0


def _only_constraints(board: Board, options: Namespace) -> int:
    """Write what there is for a board without open tools."""
    if options.check:
        raise FlowError(
            f"nothing predicts cells of board {board.name}, for which there are only constraints; "
            "choose a board with an ECP5"
        )
    if options.out is None:
        raise FlowError(
            f"board {board.name} has no bitstream here, only constraints for its vendor's tool; "
            "name a folder for them with --out, or choose a board with an ECP5"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / file_name(board)
    path.write_text(constraints(board), encoding="utf-8")
    print(path)
    return 0
