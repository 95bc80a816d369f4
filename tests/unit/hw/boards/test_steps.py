"""Steps are done once while nothing changes."""

import io
import json

import pytest
from rich.console import Console

from hw.boards.steps import RECORD, Steps, fingerprint


@pytest.fixture
def build(tmp_path):
    """Run two steps, of which the second may fail; return the lines and what was done."""

    def run(first="a", second="b", fail=False):
        out, done = io.StringIO(), []
        steps = Steps(tmp_path, count=2, console=Console(file=out, width=80))

        def work(name, content):
            def step(say):
                say("works")
                done.append(name)
                if fail and name == "two":
                    raise RuntimeError("broken")
                (tmp_path / name).write_text(content)

            return step

        try:
            steps.run("one", fingerprint(first), [tmp_path / "one"], work("one", first))
            steps.run("two", fingerprint(first, second), [tmp_path / "two"], work("two", second))
        except RuntimeError:
            done.append("broken")
        return out.getvalue().splitlines(), done

    return run


def test_unchanged(build):
    lines, done = build()
    assert done == ["one", "two"] and [line[:8] for line in lines] == ["1/2 one:", "2/2 two:"]
    lines, done = build()
    assert not done and lines == ["1/2 one: unchanged", "2/2 two: unchanged"]
    assert build(second="c")[1] == ["two"]
    assert build(first="x", second="c")[1] == ["one", "two"]


def test_a_missing_file_and_a_broken_step(build, tmp_path):
    build()
    (tmp_path / "two").unlink()
    assert build()[1] == ["two"]
    assert build(second="z", fail=True)[1] == ["two", "broken"]
    assert build(second="z")[1] == ["two"]


def test_a_record_that_was_cut_off(build, tmp_path):
    build()
    (tmp_path / RECORD).write_text('{"one": {"inp')
    assert build()[1] == ["one", "two"]
    assert set(json.loads((tmp_path / RECORD).read_text())) == {"one", "two"}


def test_fingerprints_know_where_parts_end():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("a") == fingerprint(b"a")
