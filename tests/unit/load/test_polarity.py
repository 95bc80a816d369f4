"""Rated sentences: splits by hash, and fetching from local copies."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sw.errors import UserError
from sw.load import fetch
from sw.load.polarity import SHARES, SPLITS, read_polarity, split_of

LINES = [f"{i}\t{(-1) ** i * (0.5 + i % 3)}\tSentence number {i} is here." for i in range(400)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FIRSTSPIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, lines: list[str]) -> Path:
    path.write_bytes("\r\n".join(lines).encode())
    return path


def test_every_sentence_is_in_one_split_with_the_sign_of_its_rating(tmp_path):
    splits = read_polarity(write(tmp_path / "a.txt", LINES))
    assert tuple(sorted(splits)) == tuple(sorted(SPLITS))
    found = {sentence.text: sentence.label for part in splits.values() for sentence in part}
    assert found == {f"Sentence number {i} is here.": int(i % 2 == 0) for i in range(400)}
    assert sum(map(len, splits.values())) == 400
    for name, share in SHARES.items():
        assert abs(len(splits[name]) / 400 - share) < 0.08


def test_a_split_depends_on_nothing_but_the_words(tmp_path):
    fewer = read_polarity(write(tmp_path / "b.txt", LINES[::-1][:300]))
    for name, part in read_polarity(write(tmp_path / "a.txt", LINES)).items():
        kept = {sentence.text for sentence in part}
        assert {sentence.text for sentence in fewer[name]} <= kept
    assert split_of("An  EFFECTIVE film\t") == split_of("an effective film")
    assert split_of("Effective but too tepid biopic") == "test"  # for ever


def test_neutral_sentences_and_repetitions_are_left_out(tmp_path):
    extra = ["400\t0.39\tNeither here nor there.", "401\t-3\tsentence NUMBER 0 is  here."]
    splits = read_polarity(write(tmp_path / "a.txt", [*LINES, *extra]))
    assert sum(map(len, splits.values())) == 400


def test_files_of_another_kind(tmp_path):
    with pytest.raises(UserError, match="a.txt, line 2: wanted number, rating and sentence"):
        read_polarity(write(tmp_path / "a.txt", [LINES[0], "no tabs"]))
    with pytest.raises(UserError, match="too few sentences: none is in the split"):
        read_polarity(write(tmp_path / "a.txt", LINES[:1]))


def tar(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as opened:
        for name, contents in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            opened.addfile(entry, io.BytesIO(contents))
    return archive.getvalue()


def test_fetch_from_the_source_package(tmp_path, cache):
    text = "\r\n".join(LINES).encode()
    inner = tar({"hutto/movieReviewSnippets_GroundTruth.txt": text})
    package = tmp_path / "vader.tar.gz"
    package.write_bytes(tar({"v-1/additional_resources/hutto_ICWSM_2014.tar.gz": inner}))
    path = fetch.fetch_polarity(package)
    assert path == cache / "polarity" / "movieReviewSnippets_GroundTruth.txt"
    assert path.read_bytes() == text and fetch.fetch_polarity() == path
    assert len(fetch.polarity("train")) > len(fetch.polarity("test")) > 50
    path.unlink()
    assert fetch.fetch_polarity(write(tmp_path / "text.txt", LINES)).read_bytes() == text


def test_fetch_from_something_else(tmp_path):
    other = tmp_path / "other.tar.gz"
    with pytest.raises(UserError, match="other.tar.gz is not a file: name a copy of vaderSent"):
        fetch.fetch_polarity(other)
    other.write_bytes(tar({"v-1/README": b"nothing"}))
    with pytest.raises(UserError, match="not the source of .* .it lacks hutto_ICWSM_2014.tar.gz"):
        fetch.fetch_polarity(other)
    other.write_bytes(b"no archive")
    with pytest.raises(UserError, match="other.tar.gz is not the source of vaderSentiment==3.3.2"):
        fetch.fetch_polarity(other)
