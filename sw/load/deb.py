"""Reads single files out of a Debian package without installing it."""

from __future__ import annotations

import io
import lzma
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER = 60


def read_deb_members(path: Path, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Read the files of a package whose path ends in one of the suffixes.

    Parameters
    ----------
    path : pathlib.Path
        A ``.deb`` file: an ``ar`` archive (``man 5 deb``) with a ``data.tar.*`` member.
    suffixes : tuple of str
        Ends of the wanted paths, for example ``("data/Rdata.rdx",)``.

    Returns
    -------
    dict
        Contents by suffix.

    Raises
    ------
    ValueError
        If the file is no Debian package, is damaged, or lacks one of the files.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_data_archive(path))) as archive:
            for member in archive:
                suffix = next((end for end in suffixes if member.name.endswith(end)), None)
                if suffix and member.isfile() and (contents := archive.extractfile(member)):
                    found[suffix] = contents.read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise ValueError(f"damaged Debian package: {error}") from error
    missing = [suffix for suffix in suffixes if suffix not in found]
    if missing:
        raise ValueError(f"the Debian package holds no {', '.join(missing)}")
    return found


def _data_archive(path: Path) -> bytes:
    """Find the tar archive of the package's files among the members of the ar archive."""
    package = path.read_bytes()
    if not package.startswith(_MAGIC):
        raise ValueError("not a Debian package")
    position = len(_MAGIC)
    while position + _HEADER <= len(package):
        header = package[position : position + _HEADER]
        size = int(header[48:58])
        position += _HEADER
        if position + size > len(package):
            raise ValueError("the Debian package is truncated")
        if header.startswith(b"data.tar.zst"):
            return _unpack_zstd(path)
        if header.startswith(b"data.tar"):
            return package[position : position + size]
        position += size + size % 2
    raise ValueError("not a Debian package: no data archive in it")


def _unpack_zstd(path: Path) -> bytes:
    """Let dpkg unpack what Ubuntu packs with zstd: Python reads it from version 3.14 only."""
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise ValueError("it is packed with zstd, and there is no dpkg-deb to unpack it")
    done = subprocess.run([dpkg, "--fsys-tarfile", path], capture_output=True)
    if done.returncode:
        raise ValueError(f"damaged Debian package: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
