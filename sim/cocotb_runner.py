"""Builds cores for cocotb and runs test modules on them.

Both happen in a child process, ``python -m sim.cocotb_runner``, because cocotb's runner takes its
tools and settings from the environment of the process that it runs in.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sim.verilator import environment
from sw.errors import UserError
from sw.load.fetch import cache_folder

#: Files of a run, in its folder.
LOG = "simulation.log"
RESULTS = "results.xml"

#: Packages that a simulation under cocotb imports, by the names that install them.
_PACKAGES = {"cocotb": "cocotb", "cocotb_tools": "cocotb", "cocotbext": "cocotbext-axi"}

#: Test modules see the ports of the top module and nothing within: also half the time to compile.
_PORTS = '`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n'
_FLAGS = ("--no-public-flat-rw", "-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal")

#: CFG_CXXFLAGS_PCH_I: large models otherwise look for precompiled headers that do not exist.
_MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"


def build(verilog: str, top: str) -> Path:
    """Folder of a core's simulation, from the cache where it was built before.

    Parameters
    ----------
    verilog : str
        The core's Verilog.
    top : str
        Its top module.

    Raises
    ------
    UserError
        If a tool or package is missing or fails.
    """
    missing = {_PACKAGES[name] for name in _PACKAGES if importlib.util.find_spec(name) is None}
    if missing:
        packages = " ".join(sorted(missing))
        raise UserError(f"Simulation under cocotb needs {packages}; try `pip install {packages}`.")
    tools = environment()
    libraries = importlib.util.find_spec("cocotb").submodule_search_locations[0]  # type: ignore
    parts = (verilog, *_FLAGS, _MAKE_FLAGS, importlib.metadata.version("cocotb"), libraries)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    finished = cache_folder() / "cocotb" / key
    if (finished / top).exists():
        return finished

    finished.parent.mkdir(parents=True, exist_ok=True)
    print(f"simulation: building for cocotb (once; kept in {finished.parent})", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=finished.parent, prefix=".building-") as folder:
        work = Path(folder)
        (work / "core.v").write_text(verilog, encoding="utf-8")
        (work / "ports.vlt").write_text(_PORTS.format(top=top), encoding="utf-8")
        child = _start(work, "build", top, environment={**tools, "MAKEFLAGS": _MAKE_FLAGS})
        try:
            child.wait()
        finally:
            kill(child)  # its session does not see an interrupt
        if child.returncode:
            tail = "\n".join((work / LOG).read_text(errors="replace").splitlines()[-15:])
            raise UserError(f"Building the simulation for cocotb failed:\n{tail}")
        result = work / "result"
        result.mkdir()
        shutil.copy2(work / "objects" / top, result / top)
        try:
            os.replace(result, finished)
        except OSError:
            if not (finished / top).exists():  # otherwise another process was faster
                raise
    return finished


def start(
    simulation: Path,
    top: str,
    module: str,
    *,
    folder: Path,
    stdin: int = subprocess.DEVNULL,
    variables: Mapping[str, str] | None = None,
) -> subprocess.Popen:
    """Start all tests of a module, in a session of their own.

    Parameters
    ----------
    simulation : Path
        What `build` returned.
    top : str
        Top module.
    module : str
        Module of cocotb tests.
    folder : Path
        Empty folder for `LOG` and `RESULTS`.
    stdin : int
        File descriptor that becomes the simulation's standard input.
    variables : mapping of str to str, optional
        More environment variables, e.g. ``COCOTB_RANDOM_SEED``.
    """
    arguments = ("test", top, str(simulation), module)
    return _start(folder, *arguments, stdin=stdin, environment={**os.environ, **(variables or {})})


def kill(child: subprocess.Popen) -> None:
    """End what `start` started and all that it started, if it still runs."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _start(
    folder: Path, *arguments: str, environment: dict, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    with (folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sim.cocotb_runner", *arguments],
            cwd=folder,
            env={**environment, "PYTHONPATH": path},
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def main() -> None:
    """Do in a child process, in the current folder, what `build` and `start` ask for."""
    from cocotb_tools.runner import get_runner

    task, top, *rest = sys.argv[1:]
    runner = get_runner("verilator")
    if task == "build":
        sources = [Path("ports.vlt"), Path("core.v")]
        runner.build(sources=sources, hdl_toplevel=top, build_args=_FLAGS, build_dir="objects")
    else:
        simulation, module = rest
        runner.test(
            test_module=module,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=simulation,
            test_dir=Path.cwd(),
            results_xml=str(Path(RESULTS).resolve()),
        )


if __name__ == "__main__":
    main()
