"""MiniLM on a simulated core: a batch of sentences, every layer in RTL."""

import json
import sys

import pytest

from sw import cli

pytestmark = pytest.mark.slow

SENTENCES = """A truly wonderful film.
The stock market fell sharply on Monday, and it did not recover before the week was over.
No.
"""


def test_a_sentence_batch(monkeypatch, capsys, tmp_path):
    """All hidden words, pooled words and counters, of sentences of several chunks and of one."""
    (tmp_path / "lines.txt").write_text(SENTENCES)
    arguments = ["minilm", "--config", "mac32-encoder", "--text", str(tmp_path / "lines.txt")]
    monkeypatch.setattr(
        sys, "argv", ["firstspike", "verify", *arguments, "--tokens", "99", "--json", "-"]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    record = json.loads(printed.out)
    assert (record["sentences"], record["vector"], record["mismatches"]) == (3, "device", 0)
    assert record["compared"] > 384 * (record["tokens"] + 3)
