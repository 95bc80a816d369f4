"""The documentation names what exists, and its generated pages are fresh."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hw.boards.catalog import BOARDS
from hw.build import ports
from hw.core import core_signature
from hw.encode.event import event_layout
from hw.spec import cycles
from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.formats import FORMATS
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from hw.spec.registers import COUNTERS, REGISTERS, Error
from tools import docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README.md")])

#: What stands in backticks and begins with a folder of the project, perhaps with a test's name.
REFERENCE = re.compile(r"`((?:hw|sw|sim|tests|tools|docs|constraints)/[\w./*-]*)(?:::(\w+))?`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_everything_named_exists(page):
    text = page.read_text("utf-8")
    for path, test in REFERENCE.findall(text):
        found = list(ROOT.glob(path.rstrip("/")))
        assert found, f"{page.name} names {path}, which does not exist"
        if test:
            assert f"def {test}(" in found[0].read_text("utf-8"), f"{page.name}: {path}::{test}"
    for path in LINK.findall(text):
        assert (page.parent / path).exists(), f"{page.name} links to {path}, which does not exist"


def test_references_are_found():
    text = "`tests/unit/a.py::test_b`, `hw/*/c.py`, not `/tmp/x` or `python -m hw.build`"
    assert REFERENCE.findall(text) == [("tests/unit/a.py", "test_b"), ("hw/*/c.py", "")]
    assert LINK.findall("[a](b.md#c) [d](https://e.f) [g](h/i.md)") == ["b.md", "h/i.md"]


def test_generated_pages_are_fresh():
    assert not docs.stale(), "run `make docs`"


def test_the_page_of_boards_has_all():
    page = docs.PAGES["boards.md"]()
    assert all(f"| `{name}` | {board.title} |" in page for name, board in BOARDS.items())
    assert all(f"| `{name}` |" in page for name, config in CONFIGS.items() if config.vector_words)
    assert "| `rx` | M1 | M1 | R26 | A9 |" in page
    assert "takes 152, an LFE5U-45F has 108" in page


def test_stale_pages_are_found_and_mended(tmp_path, monkeypatch, capsys):
    assert {path.name for path in docs.write(tmp_path)} == set(docs.PAGES)
    assert docs.stale(tmp_path) == []
    (tmp_path / "tables.md").write_text("old")
    assert docs.write(tmp_path) == [tmp_path / "tables.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(docs.PAGES)
    assert docs.main(["--check"]) == 0
    monkeypatch.setitem(docs.PAGES, "tables.md", lambda: "new")
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out == "tables.md is stale; run `make docs`\n"


def test_pages_are_complete():
    page = docs.registers_page()
    for name in (*REGISTERS, *COUNTERS, *(error.name.lower() for error in Error)):
        assert f"`{name}`" in page
    assert set(docs.error_texts()) == {error.name for error in Error}
    assert all(f"`{name}`" in docs.tables_page() for name in TABLES)


def test_ranges():
    assert docs.ranges([0, 1, 2, 5, 7, 8, 11]) == "0..2, 5, 7, 8, 11"
    assert docs.ranges([]) == ""


def test_header_values():
    defined = dict(re.findall(r"#define FIRSTSPIKE_(\w+) +(\w+)", docs.header_page()))
    values = {name: int(value.rstrip("u"), 0) for name, value in defined.items()}
    for register in REGISTERS.values():
        assert values[register.name.upper()] == register.address
        for field in register.fields:
            name = f"{register.name}_{field.name}".upper()
            mask = register.pack(**{field.name: -1})
            assert (values[f"{name}_SHIFT"], values[f"{name}_MASK"]) == (field.start, mask)


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is missing")
def test_header_compiles(tmp_path):
    source = tmp_path / "user.c"
    asserts = "".join(
        f'_Static_assert(FIRSTSPIKE_{name.upper()} == {register.address}, "");\n'
        for name, register in REGISTERS.items()
    )
    source.write_text('#include "firstspike_registers.h"\n' * 2 + asserts)
    command = ["gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", docs.DOCS, source]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("weights", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("lanes", [2, 8, 26, 64])
@pytest.mark.parametrize("sums", [False, True], ids=["", "sums"])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_cycle_table_adds_up(weights, lanes, sums, integrator):
    """`docs/counters.md`, every cycle that is not an event."""
    params = CoreParams(CoreConfig(lanes=lanes, integrator=integrator))
    spike = integrator == "spike"
    rng = random.Random(lanes)
    head = weights.head_beats(sums=sums)
    for tiles, blocks in [(1, 1), (1, 5), (3, 1), (7, 11)]:
        events = [rng.choice([0, 1, rng.randrange(33), 32]) for _ in range(blocks)]
        gaps = [rng.randrange(9) if spike and count else 0 for count in events]
        items = [max(count, 1) + bare for count, bare in zip(events, gaps, strict=True)]
        items[0] += spike
        stored = list(itertools.accumulate(rng.randrange(1, 99) for _ in range(blocks)))
        timing = params, weights, tiles, items
        both = cycles.integrate_cycles(*timing, sums=sums, stored=stored)
        rows = {
            "events": tiles * sum(events),
            "check": cycles.CHECK,
            "encoder": both.stall_encoder,
            "launch": cycles.LAUNCH,
            "head": head * tiles * blocks,
            "empty group": tiles * events.count(0),
            "gaps": tiles * sum(gaps),
            "flush": tiles * spike,
            "scaler": both.stall_scaler,
            "tail": cycles.TAIL[params.integrator],
            "scaling": cycles.lanes_per_stream(params),
        }
        total = cycles.instruction_cycles(*timing, stored, sums=sums)
        assert sum(rows.values()) == total
        stalls = both.stall_encoder + both.stall_scaler
        assert cycles.accounted_cycles(*timing, stalls=stalls, sums=sums) == total


def test_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for path in ROOT.glob("docs/*"):
        assert path.name == "README.md" or f"]({path.name})" in index


def test_pages_have_all_ports_and_members():
    page = docs.instantiation_page()
    for config in ("mac8", "mac32-axi"):
        for port in ports(core_signature(CoreParams(CONFIGS[config]))):
            name, direction, width = port.values()
            assert f"| `{name}` | {direction} | {width} |" in page
    for integrator in INTEGRATORS:
        layout = event_layout(CoreParams(CoreConfig(integrator=integrator)))
        for name, field in layout:
            assert f"| `{name}` | {field.width} | " in docs.events_page()
