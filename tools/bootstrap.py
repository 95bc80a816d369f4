"""Make `.venv` ready: check the tools, download the packages, install them.

Called by the Makefile with the interpreter that the environment shall have; needs no package.
Download volume and time are printed apart from the installation's.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Set up the environment, or say in one sentence what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="", help="extra package index, e.g. one of CPU builds")
    parser.add_argument("--lock", default="requirements-test.lock", help="packages to install")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    arguments = parser.parse_args()
    check_tools()
    python = make_environment(arguments.venv)
    install(python, arguments.venv / "downloads", arguments.index, str(ROOT / arguments.lock))


def check_tools() -> None:
    """Stop with one sentence if the machine lacks what no package brings."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older interpreter may run this script
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"error: Python 3.11 or newer is needed, this is {found}; try PYTHON=python3.12")
    for tool, package in (("g++", "g++"), ("make", "make"), ("perl", "perl")):
        if not shutil.which(tool):
            sys.exit(f"error: {tool} is missing; install it (on Debian: apt-get install {package})")


def make_environment(folder: Path) -> Path:
    """Create the virtual environment if it is not there; return its interpreter."""
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            import ensurepip  # noqa: F401
            import venv
        except ImportError:
            sys.exit(
                "error: Python's venv module is missing; install it (on Debian: apt-get install "
                "python3-venv)"
            )
        print(f"creating {folder.name}", flush=True)
        venv.create(folder, with_pip=True, clear=folder.exists())
    return python


def install(python: Path, downloads: Path, index: str, lock: str) -> None:
    """Download what the lock file names, then install it and the project."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    extra = ["--extra-index-url", index] if index else []
    start = time.monotonic()
    print("downloading the packages", flush=True)
    run([*pip, "download", "-q", "-d", str(downloads), "-r", lock, *extra])
    volume = sum(file.stat().st_size for file in downloads.iterdir())
    print(f"downloaded {volume / 1e6:.0f} MB in {time.monotonic() - start:.0f} s", flush=True)
    start = time.monotonic()
    local = ["--no-index", "--find-links", str(downloads)]
    run([*pip, "install", "-qq", "-r", lock, *local])
    run([*pip, "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    shutil.rmtree(downloads)
    print(f"installed in {time.monotonic() - start:.0f} s", flush=True)


def run(command: list[str]) -> None:
    """Run a command; its failure is ours."""
    if subprocess.run(command).returncode:
        sys.exit("error: pip failed, see above; without a network nothing can be installed")


if __name__ == "__main__":
    main()
