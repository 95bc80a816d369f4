"""Command ``python -m tools.docs``: writes the pages of docs/ that are made from the source."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hw.encode.vector_encoder import SUPPORTED_TABLES
from hw.spec.codes import DEFAULT_TABLE, TABLES, CodeTable
from hw.spec.formats import FORMATS, VERSION
from hw.spec.registers import COUNTERS, MAGIC, REGISTERS, SPAN, Access, Error
from tools.docs_boards import boards_page
from tools.docs_interface import events_page, instantiation_page
from tools.docs_program import instructions_page
from tools.markdown import bits, meanings, ranges, table

DOCS = Path(__file__).resolve().parent.parent / "docs"

#: Prefix of every name in the C header.
PREFIX = "FIRSTSPIKE"


def error_texts() -> dict[str, str]:
    """Meaning of every error code: the comment above it in the source."""
    return {Error.NONE.name: "no error"} | meanings(Error)


def registers_page() -> str:
    """Render the register map, its fields, the counters and the error codes."""
    texts = error_texts()
    counters = [(f"0x{REGISTERS[n].address:02x}", f"`{n}`", t) for n, t in COUNTERS.items()]
    registers = [
        (f"0x{r.address:02x}", f"`{r.name}`", r.access.name + ", guarded" * r.guarded, r.text)
        for r in REGISTERS.values()
        if r.name not in COUNTERS
    ]
    fields = [
        (f"`{r.name}`", bits(f), f"`{f.name}`", f.text)
        for r in REGISTERS.values()
        for f in r.fields
    ]
    errors = [(e.value, f"`{e.name.lower()}`", texts[e.name]) for e in Error]
    return (
        "# Registers\n\n"
        "Written by `python -m tools.docs` from `hw/spec/registers.py`; do not edit.\n\n"
        f"Specification {VERSION}. 32-bit registers on AXI4-Lite at byte addresses, "
        f"{SPAN} bytes in all. `magic` reads 0x{MAGIC:08x}. A refused access is answered with "
        "SLVERR: an address without a register, a write to an R register, a read of a PULSE "
        "register, a write to a guarded register while an instruction runs, or what a window does "
        "not allow. Writes are of whole words.\n\n"
        + table(["address", "register", "access", "meaning"], registers)
        + "\n## Access\n\n"
        + table(["access", "meaning"], [(a.name, a.value) for a in Access])
        + "\n## Fields\n\n"
        + table(["register", "bits", "field", "meaning"], fields)
        + "\n## Counters\n\nOf the last instruction; see `docs/counters.md`.\n\n"
        + table(["address", "register", "counts"], counters)
        + "\n## Error codes\n\nOf the field `error` of `status`.\n\n"
        + table(["code", "name", "reason"], errors)
    )


def tables_page() -> str:
    """Render the code tables and the weight formats."""
    rows = [
        (
            f"`{t.name}`" + (" (default)" if t.name == DEFAULT_TABLE else ""),
            t.number,
            "yes" if t.polarity else "no",
            t.zero,
            ranges(t.ladder) or "none",
            t.steps,
            _silence(t),
            _integers(t),
            "every linear layer" if t.linear else "softmax only",
            "core and golden model" if t.name in SUPPORTED_TABLES else "golden model",
        )
        for t in TABLES.values()
    ]
    head = (
        "table, number, polarity, zero z, ladder, steps, silent level m, integers, for, runs on"
    ).split(", ")
    thresholds = [
        (f"`{t.name}`", ranges([x // 4 for x in t.thresholds]))
        for t in TABLES.values()
        if t.ladder and t.zero == 0
    ]
    formats = [
        (f"`{f.name}`", f.number, f.lanes_per_output, f.scale_beats, f.beats)
        for f in FORMATS.values()
    ]
    return (
        "# Code tables\n\n"
        "Written by `python -m tools.docs` from `hw/spec/codes.py` and `hw/spec/formats.py`; do "
        "not edit. The arithmetic is in `docs/arithmetic.md` §2.\n\n"
        "*Number* is the field `table` of the register `mode`. *Ladder* holds the levels of the "
        "window, magnitudes where spikes have polarity. *Steps* is the window's length, the "
        "silent state included. A code of level v decodes to v - z.\n\n"
        + table(head, rows)
        + "\n## Thresholds\n\n"
        "Smallest |x| / scale, in halves, from which on each level but the first is taken.\n\n"
        + table(["table", "halves of the scale"], thresholds)
        + "\n## Weight formats\n\n*Number* is the field `format` of the register `mode`.\n\n"
        + table(["format", "number", "lanes a weight", "scale beats", "beats a group"], formats)
    )


def _silence(entry: CodeTable) -> str:
    return f"calibrated, {entry.silent_level} before" if entry.masked else str(entry.silent_level)


def _integers(entry: CodeTable) -> str:
    if entry.zero:
        return f"levels outside {entry.lowest}..{entry.highest}"
    return f"from {entry.integer_from / 8:g} scales" + ("" if entry.polarity else ", and negative")


def header_page() -> str:
    """Render the register map as a C header."""
    lines = [
        "/* Written by `python -m tools.docs` from hw/spec/registers.py; do not edit. */",
        f"#ifndef {PREFIX}_REGISTERS_H",
        f"#define {PREFIX}_REGISTERS_H",
        "",
        _define("MAGIC_VALUE", f"0x{MAGIC:08x}u"),
        _define("SPAN", f"0x{SPAN:x}u"),
    ]
    for register in REGISTERS.values():
        name = register.name.upper()
        lines += ["", f"/* {register.access.name}: {register.text} */"]
        lines.append(_define(name, f"0x{register.address:02x}u"))
        for f in register.fields:
            mask = (1 << f.width) - 1 << f.start
            lines.append(_define(f"{name}_{f.name.upper()}_SHIFT", str(f.start)))
            lines.append(_define(f"{name}_{f.name.upper()}_MASK", f"0x{mask:08x}u"))
    numbers = [
        ("status.error", "ERROR", {e.name: e.value for e in Error}),
        ("mode.table", "TABLE", {t.name: t.number for t in TABLES.values()}),
        ("mode.format", "FORMAT", {f.name: f.number for f in FORMATS.values()}),
    ]
    for what, kind, values in numbers:
        lines += ["", f"/* Values of {what}. */"]
        lines += [_define(f"{kind}_{name.upper()}", str(v)) for name, v in values.items()]
    return "\n".join([*lines, "", "#endif", ""])


def _define(name: str, value: str) -> str:
    return f"#define {f'{PREFIX}_{name}':44}{value}"


#: Every generated file of docs/, and what makes it.
PAGES: dict[str, Callable[[], str]] = {
    "registers.md": registers_page,
    "tables.md": tables_page,
    "instantiation.md": instantiation_page,
    "instructions.md": instructions_page,
    "events.md": events_page,
    "boards.md": boards_page,
    "firstspike_registers.h": header_page,
}


def stale(folder: Path = DOCS) -> list[Path]:
    """Find the generated files that are missing or differ from what would be written."""
    paths = {folder / name: page() for name, page in PAGES.items()}
    return [p for p, text in paths.items() if not p.is_file() or p.read_text("utf-8") != text]


def write(folder: Path = DOCS) -> list[Path]:
    """Write every generated file that is stale, each whole or not at all."""
    changed = stale(folder)
    for path in changed:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(PAGES[path.name]())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args(arguments).check
    for path in stale() if check else write():
        print(f"{path.name} is stale; run `make docs`" if check else f"wrote docs/{path.name}")
    return int(check and bool(stale()))


if __name__ == "__main__":
    sys.exit(main())
