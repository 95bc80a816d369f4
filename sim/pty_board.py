"""A simulated board behind a pseudo-terminal, which looks like a serial port."""

from __future__ import annotations

import os
import select
import threading
import tty
from typing import Protocol

#: Clock cycles between two looks at the terminal.
_SLICE = 2000

#: Slices without a byte after which the board's clock stands still until one comes.
_IDLE = 2000

_MOST = 4096


class Board(Protocol):
    """What a terminal needs of a board."""

    def push(self, octets: bytes) -> None:
        """Send bytes to the board."""

    def run(self, cycles: int) -> bytes:
        """Let time pass; return the bytes that have come."""


class Damage(Protocol):
    """What happens to bytes on the line."""

    def pass_on(self, octets: bytes) -> bytes:
        """Take bytes; return those that arrive."""


class PtyBoard:
    """Serves a board until it is closed, in a thread of its own.

    Parameters
    ----------
    board : Board
        Who answers.
    to_board, from_board : Damage, optional
        What happens on the way.

    Attributes
    ----------
    port : str
        Path of the terminal, for the serial transport.
    """

    def __init__(
        self, board: Board, *, to_board: Damage | None = None, from_board: Damage | None = None
    ):
        self._board, self._to_board, self._from_board = board, to_board, from_board
        self._own, self._other = os.openpty()
        tty.setraw(self._other)
        os.set_blocking(self._own, False)
        self.port = os.ttyname(self._other)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """End the service: to who uses the port, as if the cable was pulled."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        os.close(self._own)
        os.close(self._other)

    def _serve(self) -> None:
        quiet, outgoing = 0, b""
        while not self._ended.is_set():
            patience = 0.05 if quiet > _IDLE else 0
            readable, _, _ = select.select([self._own], [], [], patience)
            if readable:
                octets = self._take()
                quiet = 0
                self._board.push(self._to_board.pass_on(octets) if self._to_board else octets)
            if quiet > _IDLE:
                continue
            octets = self._board.run(_SLICE)
            quiet = 0 if octets else quiet + 1
            outgoing += self._from_board.pass_on(octets) if self._from_board else octets
            if outgoing:
                outgoing = outgoing[self._give(outgoing) :]

    def _take(self) -> bytes:
        try:
            return os.read(self._own, _MOST)
        except OSError:
            return b""

    def _give(self, octets: bytes) -> int:
        try:
            return os.write(self._own, octets)
        except OSError:
            return 0
