"""Command ``python -m tools.history REPORT...``: appends to `docs/history.md`.

Each report is one of ``python -m hw.build --board``. Cycles of a token come from the simulated core
of its configuration, with the bundled model.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sw.commands.generate import generate_run
from sw.convert.container import write_whole
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model
from tools.cost import version

PAGE = Path(__file__).resolve().parent.parent / "docs" / "history.md"

#: What is generated to count cycles.
PROMPT, TOKENS = "She was", 16

CELLS = ("LUT4", "CCU2C", "FF", "DSP", "BRAM")

_COLUMNS = ("date", "version", "configuration", "board", *CELLS, "clock", "cycles a token")

HEAD = f"""\
# History

Appended to by `make bench` (`tools/history.py`): what a board design took, and how fast it was, by
version. Cells are those of synthesis, the memory of the board included. The clock is what place and
route reached where the board's own was aimed at. Cycles are of the simulated core: {TOKENS} tokens
of the bundled model behind "{PROMPT}", and those of the prompt.

| {" | ".join(_COLUMNS)} |
|{"---|" * len(_COLUMNS)}
"""


def cycles_a_token(config: str) -> int:
    """Cycles of a token on the simulated core, the prompt's included."""
    run = generate_run(
        None, prompt=PROMPT, tokens=TOKENS, backend="rtl", config=config, screen=io.StringIO()
    )
    prompt = Tokenizer.from_spec(open_model(None).tokenizer_spec).encode(PROMPT)
    return round(run.counters["token_cycles"] / (len(prompt) + TOKENS - 1))


def row(report: Mapping, *, cycles: int, commit: str, date: str) -> str:
    """Line of the table."""
    cells = (f"{report['cells'][name]:,}" for name in CELLS)
    clock = f"{report['clock_mhz']:g} MHz of {report['target_mhz']:g}"
    columns = (date, commit, f"`{report['config']}`", report["board"], *cells, clock, f"{cycles:,}")
    return f"| {' | '.join(columns)} |\n"


def append(rows: Sequence[str], page: Path = PAGE) -> None:
    """Add lines to the table, which is begun if it is not there."""
    text = page.read_text(encoding="utf-8") if page.exists() else HEAD
    write_whole(page, (text + "".join(rows)).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.history", description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, help="report.json of boards")
    options = parser.parse_args(arguments)
    rows = []
    for path in options.reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        date = datetime.date.today().isoformat()
        cycles = cycles_a_token(report["config"])
        rows.append(row(report, cycles=cycles, commit=version(), date=date))
    append(rows)
    print(f"appended to {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
