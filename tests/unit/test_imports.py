"""Which package may import which: `docs/development.md`."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import hw.spec

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hw", "sw", "sim", "tools", "tests")

#: Imports of the project's packages that a folder may make; the first folder that fits decides.
ALLOWED = {
    "hw/spec": ("hw.spec",),
    "hw": ("hw",),
    "sw": ("sw", "hw.spec"),
    "sim": ("sim", "sw", "hw"),
}

#: Files that reach further, and what they reach: always lazily, never when they are imported.
EXCEPTIONS = {
    "sw/commands/board_sim.py": ("sim.board",),
    "sw/commands/demo.py": ("hw.build",),
    "sw/opening.py": ("sim.verilated", "sim.cocotb_transport", "sim.memory"),
}

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ALLOWED
    for path in (ROOT / folder).rglob("*.py")
)


def names(node: ast.AST) -> list[str]:
    """Modules that a statement or call imports by a name that stands in the source."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
        return [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    return []


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("file", sorted(set(FILES)))
def test_imports(file):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    allowed = next(rule for folder, rule in ALLOWED.items() if file.startswith(f"{folder}/"))
    at_once = {name for node in tree.body for name in names(node)}
    for node in ast.walk(tree):
        for module in names(node):
            if not within(module, PACKAGES) or within(module, allowed):
                continue
            assert within(module, EXCEPTIONS.get(file, ())), f"{file} must not import {module}"
            assert module not in at_once, f"{file} may import {module} only where it needs it"


def test_exceptions_are_needed():
    for file, modules in EXCEPTIONS.items():
        nodes = ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
        imported = [name for node in nodes for name in names(node)]
        for module in modules:
            assert any(within(name, (module,)) for name in imported), f"{file}: {module}"


def test_specification_needs_neither_amaranth_nor_torch():
    modules = [f"hw.spec.{module.name}" for module in pkgutil.iter_modules(hw.spec.__path__)]
    script = f"import sys, {', '.join(modules)}\nprint({{'amaranth', 'torch'}} & {{*sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def test_golden_model_is_not_written_from_the_gateware():
    for path in (ROOT / "sw/golden").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for module in names(node):
                assert not within(module, ("sw.driver", "sw.compile", "hw.spec.cycles")), path.name
