"""What tests of several modules share."""

import sys

import pytest

from sw import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; return exit code, output and errors."""

    def call(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["firstspike", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call
