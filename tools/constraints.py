"""Command ``python -m tools.constraints``: writes the files of constraints/ from the boards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hw.boards.catalog import BOARDS
from hw.boards.constraints import constraints, file_name
from sw.convert.container import write_whole

FOLDER = Path(__file__).resolve().parent.parent / "constraints"


def stale(folder: Path = FOLDER) -> dict[Path, str]:
    """Find the files that are missing or differ, and what they should hold."""
    wanted = {folder / file_name(board): constraints(board) for board in BOARDS.values()}
    return {
        path: text
        for path, text in wanted.items()
        if not path.is_file() or path.read_text("utf-8") != text
    }


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.constraints", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args(arguments).check
    found = stale(folder)
    for path, text in found.items():
        if not check:
            write_whole(path, text.encode())
        print(f"{path.name} is stale; run `make docs`" if check else f"wrote {path.name}")
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
