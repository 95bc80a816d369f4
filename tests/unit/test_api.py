"""The examples of `docs/api.md` run as they stand there."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_examples_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.S)
    assert len(blocks) == 2
    scope: dict = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), scope)
    first, *events, last = capsys.readouterr().out.splitlines()
    counters = scope["golden"].counters
    assert first.endswith(f"{counters['spikes']} {counters['silent']}")
    fired = scope["fired"]
    assert len(events) == len(fired["level"]) > 0
    assert all(re.fullmatch(r"(coarse|fine) \d+ \d+ -?1", line) for line in events)
    perplexity, total, weights = map(float, last.split())
    assert perplexity > 1 and total > weights > 0
