"""The built wheel in a new virtual environment, from an empty folder, golden and in RTL."""

import subprocess
import sys
import venv

import pytest

from tests.wheel import ROOT, build_wheel

pytestmark = pytest.mark.slow


def test_wheel_in_a_new_environment(tmp_path):
    wheel = build_wheel(tmp_path / "build")
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(home, with_pip=True)
    lock = str(ROOT / "requirements-test.lock")
    pip = [str(home / "bin/python"), "-m", "pip", "install", "-q", "-c", lock, str(wheel)]
    assert subprocess.run(pip).returncode == 0
    texts = {}
    for backend in ("golden", "rtl"):
        done = subprocess.run(
            [str(home / "bin/firstspike"), "generate", "--tokens", "6", "--backend", backend],
            cwd=empty,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        texts[backend] = done.stdout
    assert texts["golden"] == texts["rtl"]
    assert not list(empty.iterdir())
    listed = subprocess.run(
        [str(home / "bin/python"), "-m", "hw.build", "--list"], cwd=empty, capture_output=True
    )
    assert listed.stdout.startswith(b"mac8")
    assert sys.version_info >= (3, 11)
