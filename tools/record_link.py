"""Command ``python -m tools.record_link``: records a short exchange with a simulated board.

Writes `tests/data/link_exchange.json`, which `tests/unit/driver/test_exchange.py` replays on the
host's side and on the board's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from hw.spec.registers import REGISTERS
from sim.board import SimulatedBoard
from sw.convert.container import write_whole
from sw.driver.serial import SerialTransport
from sw.driver.session import Session
from sw.opening import open_params

FILE = Path(__file__).resolve().parent.parent / "tests" / "data" / "link_exchange.json"

#: Name of the recorded session.
SESSION = 0x7E7D00FF

_CYCLES = 2000


class RecordingLine:
    """A line straight to a simulated board.

    Attributes
    ----------
    turns : list of (str, str)
        What went to the board, and what came until it answered nothing more; hexadecimal.
    """

    port = "a recording"

    def __init__(self, board: SimulatedBoard):
        self._board = board
        self.turns: list[list[str]] = []

    def write(self, octets: bytes) -> None:
        """Send bytes."""
        self._board.push(octets)
        if self.turns and not self.turns[-1][1]:
            self.turns[-1][0] += octets.hex()
        else:
            self.turns.append([octets.hex(), ""])

    def read(self, timeout: float) -> bytes:
        """Return what comes."""
        octets = self._board.run(_CYCLES)
        self.turns[-1][1] += octets.hex()
        return octets

    def close(self) -> None:
        """Do nothing."""


def talk(line) -> list:
    """Read and write registers and memory; return what was read."""
    transport = SerialTransport.over(line, Session(line, name=SESSION))
    registers = ("magic", "version", "hash_low", "hash_high", "status")
    found: list = [transport.read(REGISTERS[name].address) for name in registers]
    octets = (np.arange(600) * 7 % 256).astype(np.uint8)
    transport.load(64, octets)
    found.append(transport.dump(60, 608).tobytes().hex())
    transport.write(REGISTERS["vector_address"].address, 0)
    window = REGISTERS["vector_data"].address
    transport.write_window(window, np.array([0x7E7D7E, 5, 0x7D007E], np.uint32))
    transport.write(REGISTERS["vector_address"].address, 0)
    found.append([int(word) for word in transport.read_window(window, 3)])
    return found


def main() -> int:
    """Record; return the exit code."""
    with SimulatedBoard(open_params("ulx3s")) as board:
        line = RecordingLine(board)
        found = talk(line)
    content = {"session": SESSION, "found": found, "turns": line.turns}
    write_whole(FILE, (json.dumps(content, indent=1) + "\n").encode())
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
