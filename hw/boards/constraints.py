"""Constraints of a board design, from the pins that ``amaranth-boards`` knows."""

from __future__ import annotations

from hw.boards.board import Board


def file_name(board: Board) -> str:
    """Name of the constraints of a board."""
    return f"{board.name}.{'lpf' if board.device else 'xdc'}"


def constraints(board: Board) -> str:
    """Text of the constraints, as the board's tool reads them."""
    head = f"# {board.title}: pins of the board design, from amaranth-boards.\n"
    return head + (_lpf(board) if board.device else _xdc(board))


def _lpf(board: Board) -> str:
    lines = []
    for port, pin in board.pins().items():
        attributes = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
        lines += [f'LOCATE COMP "{port}" SITE "{pin.site}";', f'IOBUF PORT "{port}" {attributes};']
    lines.append(f'FREQUENCY PORT "clk" {float(board.oscillator):g} MHZ;')
    return "\n".join(lines) + "\n"


def _xdc(board: Board) -> str:
    lines = []
    for port, pin in board.pins().items():
        attributes = " ".join(f"{name} {value}" for name, value in pin.attributes.items())
        lines.append(
            f"set_property -dict {{ PACKAGE_PIN {pin.site} {attributes} }} [get_ports {port}]"
        )
    period = float(1000 / board.oscillator)
    lines.append(f"create_clock -name clk -period {period:g} [get_ports clk]")
    return "\n".join(lines) + "\n"
