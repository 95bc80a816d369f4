"""The wheel holds the program and the bundled model, nothing else, and works from anywhere."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.wheel import build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"hw", "sw", "sim", info}
    needed = {
        "sw/models/austen-0.3m.gguf",
        "sim/verilated_shim.cpp",
        "sim/verilated_memory.h",
        "sim/board_shim.cpp",
        "hw/boards/ulx3s.py",
        "sim/waveform/lz4.h",
        "hw/build.py",
        "sw/energy/technologies/22nm.toml",
        "sw/report/template.html.jinja",
        "hw/encode/vector_encoder.py",
    }
    assert needed <= set(names)


def test_generates_from_an_empty_folder(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import sys, sw.cli; assert sw.cli.__file__.startswith(sys.argv.pop(1)); sw.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(site), "generate", "--tokens", "3"],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("She was") and len(done.stdout) > len("She was\n")
    assert not list(empty.iterdir())
