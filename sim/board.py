"""A simulated board: the Verilated board design, bit-level serial line included."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import time
from collections.abc import Iterator

import numpy as np

from hw.boards.board import Board
from hw.boards.catalog import BOARDS
from hw.boards.check import refusal
from hw.boards.design import TOP, BoardDesign, board_verilog
from hw.boards.pll import SIMULATION
from hw.build import generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from sim.damage import FrameDamage
from sim.pty_board import PtyBoard
from sim.verilator import BOARD_SHIM, build
from sw.errors import UserError

#: Clock cycles of a bit on the simulated line: few, as every cycle costs time.
DIVISOR = 4

_CHUNK = 4096


@functools.cache
def _library(path: str) -> ctypes.CDLL:
    """Library with the argument types of its functions declared."""
    library = ctypes.CDLL(path)
    octets = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
    number, handle = ctypes.c_uint64, ctypes.c_void_p
    for name, result, arguments in (
        ("open", handle, (ctypes.c_uint32,)),
        ("close", None, (handle,)),
        ("push", None, (handle, octets, number)),
        ("pull", number, (handle, octets, number)),
        ("run", None, (handle, number)),
        ("cycles", number, (handle,)),
        ("waiting", number, (handle,)),
        ("framing_errors", number, (handle,)),
    ):
        function = getattr(library, f"firstspike_board_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class SimulatedBoard:
    """The board design of a configuration, from its own Verilog.

    Parameters
    ----------
    params : CoreParams
        The core.
    board : str
        Whose design it is.
    divisor : int
        Clock cycles of a bit on the serial line.

    Attributes
    ----------
    build_seconds : float
        Time that generating and building took.

    Raises
    ------
    UserError
        If there is no such board.
    """

    def __init__(self, params: CoreParams, *, board: str = "ulx3s-85f", divisor: int = DIVISOR):
        chosen = _find(board)
        started = time.monotonic()
        design = BoardDesign(
            params,
            source=chosen.oscillator,
            megahertz=chosen.megahertz,
            baud=int(chosen.megahertz * 10**6 / divisor),
            leds=len(chosen.leds),
            inverted={port: pin.inverted for port, pin in chosen.pins().items()},
        )
        verilog = board_verilog(design, generate(params)[0]) + SIMULATION
        path = build(verilog, TOP, shim=BOARD_SHIM)
        self.build_seconds = time.monotonic() - started
        self._library = _library(str(path))
        self._handle: int | None = self._library.firstspike_board_open(divisor)

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.firstspike_board_cycles(self._handle)

    @property
    def waiting(self) -> int:
        """Bytes that have not begun to go to the board."""
        return self._library.firstspike_board_waiting(self._handle)

    @property
    def framing_errors(self) -> int:
        """Bytes from the board without a stop bit."""
        return self._library.firstspike_board_framing_errors(self._handle)

    def push(self, octets: bytes) -> None:
        """Send bytes to the board, behind those that wait."""
        self._library.firstspike_board_push(
            self._handle, np.frombuffer(octets, np.uint8), len(octets)
        )

    def run(self, cycles: int) -> bytes:
        """Let clock cycles pass; return the bytes that have come."""
        self._library.firstspike_board_run(self._handle, cycles)
        found = np.zeros(_CHUNK, np.uint8)
        octets = b""
        while count := self._library.firstspike_board_pull(self._handle, found, _CHUNK):
            octets += found[:count].tobytes()
        return octets

    def close(self) -> None:
        """End the simulation; may be called again."""
        if self._handle is not None:
            self._library.firstspike_board_close(self._handle)
            self._handle = None


def _find(name: str) -> Board:
    board = BOARDS.get(name)
    if board is None or not board.device:
        known = ", ".join(b.name for b in BOARDS.values() if b.device)
        raise UserError(f"there is no board {name!r} to simulate; choose one of {known}")
    return board


@contextlib.contextmanager
def serve(
    config: str, *, board: str = "ulx3s-85f", damage: float = 0.0, seed: int = 0
) -> Iterator[PtyBoard]:
    """Simulate a board behind a pseudo-terminal.

    Parameters
    ----------
    config : str
        Name of the core's configuration.
    board : str
        Whose design it is.
    damage : float
        Share of the frames that are damaged, in either direction.
    seed : int
        Of the damage.

    Raises
    ------
    UserError
        If there is no such board, or it does not hold the configuration.
    """
    if why := refusal(_find(board), config):
        raise UserError(why)
    ways = [FrameDamage(damage, seed=2 * seed + i) if damage else None for i in range(2)]
    with (
        SimulatedBoard(CoreParams(CONFIGS[config]), board=board) as simulated,
        PtyBoard(simulated, to_board=ways[0], from_board=ways[1]) as served,
    ):
        yield served
