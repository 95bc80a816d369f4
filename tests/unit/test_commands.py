"""Commands that pages are made of: what is there stays, and a failure ends the page."""

import pytest

from tools import commands


def test_only_what_is_missing_is_made(tmp_path):
    (tmp_path / "there.txt").write_text("kept")
    steps = {"there.txt": "no such command", "made.txt": "--help"}
    commands.make_missing(steps, tmp_path)
    assert (tmp_path / "there.txt").read_text() == "kept"


def test_a_command_that_fails_is_named(tmp_path):
    with pytest.raises(SystemExit, match="error: firstspike compare no.gguf ended with 2"):
        commands.run("compare no.gguf", tmp_path)
