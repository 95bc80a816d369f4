"""The page of a run: every number is the run's JSON's, nothing is fetched."""

import html.parser
import json
import re
import sys

import pytest

from sw import cli
from sw.errors import UserError
from sw.report.build import build, load_run

TEXT = "tests/data/persuasion_excerpt.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with everything: generated text, baselines and a plan."""
    folder = tmp_path_factory.mktemp("run")
    limits = ["--text", TEXT, "--tokens", "32", "--window", "32"]
    only = ["--only", "ttfs16,mttfs,companded"]
    with pytest.MonkeyPatch.context() as patch:
        for arguments in (
            ["generate", "--tokens", "3", "--prompt", "<b>She</b> was", "--run", str(folder)],
            ["compare", *limits, *only, "--run", str(folder)],
        ):
            patch.setattr(sys, "argv", ["firstspike", *arguments])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            assert not stop.value.code
    point = {"table": "companded", "price": 0.1, "silent": 0.2, "integer": 0.02, "ratio": 1.01}
    plan = {"kind": "plan", "model": "Austen 0.3M", "text": "a text", "points": [point]}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


class Page(html.parser.HTMLParser):
    """Collects numbers with their keys, and everything that could reach out."""

    def __init__(self, text):
        super().__init__()
        self.numbers, self.shown, self.reaching, self.tags = [], {}, [], []
        self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self._cell = given.get("data-key") if tag in ("td", "dd") else None
        if "data-value" in given:
            self.numbers.append((given["data-key"], given["data-value"]))
        for name in ("src", "href", "action", "data", "xlink:href"):
            if name in given and not given[name].startswith(("#", "data:,")):
                self.reaching.append((tag, given[name]))
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.reaching.append((tag, ""))

    def handle_data(self, data):
        if self._cell and data.strip():
            self.shown[self._cell] = data.strip()
            self._cell = None


def look_up(run, key):
    value = run
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


@pytest.fixture(scope="module")
def page(folder):
    return build(folder)


def test_every_number_is_that_of_the_run(folder, page):
    run, parsed = load_run(folder), Page(page)
    assert len(parsed.numbers) > 200
    for key, value in parsed.numbers:
        assert float(value) == look_up(run, key), key
    for key, text in parsed.shown.items():
        value = look_up(run, key)
        number = float(text.replace(",", "").removesuffix("%"))
        number *= 0.01 if text.endswith("%") else 1
        if ".energy." in key and not key.endswith("measured_share"):
            number *= 1e-6
        assert number == pytest.approx(value, rel=2e-3, abs=6e-3), key
    kinds = {key.split(".")[0] for key, _ in parsed.numbers}
    assert kinds == {"generate", "compare", "plan"}


def test_the_page_reaches_for_nothing(page):
    assert Page(page).reaching == []
    assert not re.search(r"url\(|@import|https?://", page)


def test_text_is_escaped_and_whole(folder, page):
    run = load_run(folder)
    assert "&lt;b&gt;She&lt;/b&gt; was" in page and "<b>She" not in page
    assert html.unescape(page).count(run["generate"]["text"])


def test_charts_have_names_and_tables(page):
    parsed = Page(page)
    named = [given for tag, given in parsed.tags if tag == "svg" and "role" in given]
    assert len(named) >= 6 and all(given["aria-label"] for given in named)
    details = [tag for tag, _ in parsed.tags if tag == "details"]
    assert len(details) == len(named)
    regions = [given for tag, given in parsed.tags if given.get("role") == "region"]
    assert all(given["tabindex"] == "0" and given["aria-label"] for given in regions)
    identities = [given["id"] for _, given in parsed.tags if "id" in given]
    assert len(identities) == len(set(identities))
    for tag, given in parsed.tags:
        if tag == "a":
            assert given["href"].removeprefix("#") in identities


def test_raster_shows_the_chosen_events(folder):
    from sw.events import load_events

    events = load_events(folder / "events.npz")
    page = build(folder, tensor="layers.1.attn_q", token=2, block=1)
    fired = events.of(token=2, tensor="layers.1.attn_q")
    rows = sorted(channel % 32 for channel in fired["channel"].tolist() if channel >= 32)
    drawn = [int(given["data-row"]) for _, given in Page(page).tags if "data-row" in given]
    assert sorted(drawn) == rows


def test_parts_of_a_run(folder, tmp_path):
    for name in ("plan.json", "compare.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        assert "Perplexity and silence" in build(tmp_path)
    only_text = tmp_path / "text"
    only_text.mkdir()
    for name in ("generate.json", "events.npz"):
        (only_text / name).write_bytes((folder / name).read_bytes())
    assert "All baselines" not in build(only_text)


def test_refusals(folder, tmp_path):
    with pytest.raises(UserError, match="holds no run; write one with `firstspike generate --run"):
        build(tmp_path)
    with pytest.raises(UserError, match="blocks of layers.0.ffn_down are 0..5, not 6"):
        build(folder, block=6)
    with pytest.raises(UserError, match="energies of 22nm, 45nm, not of '7nm'"):
        build(folder, technology="7nm")
    (tmp_path / "compare.json").write_text("{")
    with pytest.raises(UserError, match="compare.json is not JSON; write the run again"):
        build(tmp_path)
