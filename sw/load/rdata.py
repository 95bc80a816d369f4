"""Reads the data sets of an R package (lazy-load format) without R.

Sources: "R Internals" section 1.8 (serialization formats) and "R Internals" section 1.13 (lazy
loading): an ``.rdx`` index names byte ranges of an ``.rdb`` file, each one a serialized value.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

_NULL, _GLOBAL_ENV, _REFERENCE = 254, 253, 255
_SYMBOL, _PAIRLIST, _STRING, _LOGICAL, _INTEGER, _REAL, _CHARACTER, _LIST = (
    1, 2, 9, 10, 13, 14, 16, 19,
)  # fmt: skip
_HAS_ATTRIBUTES, _HAS_TAG, _LATIN1 = 1 << 9, 1 << 10, 1 << 14


def read_lazy_load(index: bytes, data: bytes) -> dict[str, Any]:
    """Read every data set of a lazy-load pair.

    Parameters
    ----------
    index, data : bytes
        Contents of the ``.rdx`` and of the ``.rdb`` file.

    Returns
    -------
    dict
        Value by name: a character vector is a list of str (None for NA), other vectors are lists.

    Raises
    ------
    ValueError
        If the bytes are not an R lazy-load pair, or use a compression or a type not read here.
    """
    try:
        described = _unserialize(gzip.decompress(index))
        if described["compressed"] != [1]:
            raise ValueError(f"lazy-load compression {described['compressed']} is not zlib")
        return {
            name: _unserialize(_block(data, offset, length))
            for name, (offset, length) in described["variables"].items()
        }
    except (OSError, EOFError, zlib.error, struct.error, KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"not an R lazy-load pair: {e}") from e


def _block(data: bytes, offset: int, length: int) -> bytes:
    """Decompress one value: four bytes of big-endian length, then a zlib stream."""
    (size,) = struct.unpack_from(">I", data, offset)
    value = zlib.decompress(data[offset + 4 : offset + length])
    if len(value) != size:
        raise ValueError(f"a value has {len(value)} bytes where its header says {size}")
    return value


def _unserialize(data: bytes) -> Any:
    return _Reader(data).value()


class _Reader:
    """A cursor over one XDR serialization."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != b"X\n":
            raise ValueError("not an R serialization in XDR format")
        self._data = data
        self._position = 2
        self._references: list[Any] = []
        version, _writer, _oldest_reader = self._integers(3)
        if version not in (2, 3):
            raise ValueError(f"serialization version {version} is not 2 or 3")
        if version == 3:
            self._bytes(self._integer())  # the native encoding's name; strings carry their own

    def _bytes(self, count: int) -> bytes:
        end = self._position + count
        if count < 0 or end > len(self._data):
            raise ValueError("serialization ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _integers(self, count: int) -> list[int]:
        return list(struct.unpack(f">{count}i", self._bytes(4 * count)))

    def _integer(self) -> int:
        return self._integers(1)[0]

    def value(self) -> Any:
        """Read the value at the cursor; a named list becomes a dict."""
        flags = self._integer()
        kind = flags & 0xFF
        if kind == _PAIRLIST:
            return self._pairlist(flags)
        value = self._plain_value(kind, flags)
        # A string's attribute flag marks its cache, and nothing follows it.
        attributes = self.value() if flags & _HAS_ATTRIBUTES and kind != _STRING else None
        if attributes and "names" in attributes:
            return dict(zip(attributes["names"], value, strict=True))
        return value

    def _plain_value(self, kind: int, flags: int) -> Any:
        if kind in (_NULL, _GLOBAL_ENV):
            return None
        if kind == _REFERENCE:
            return self._references[(flags >> 8 or self._integer()) - 1]
        if kind == _SYMBOL:
            self._references.append(self.value())
            return self._references[-1]
        count = self._integer()
        if kind == _STRING:
            encoding = "latin-1" if flags & _LATIN1 else "utf-8"
            return None if count == -1 else self._bytes(count).decode(encoding)
        if kind in (_LOGICAL, _INTEGER):
            return self._integers(count)
        if kind == _REAL:
            return list(struct.unpack(f">{count}d", self._bytes(8 * count)))
        if kind in (_CHARACTER, _LIST):
            return [self.value() for _ in range(count)]
        raise ValueError(f"R type {kind} is not read here")

    def _pairlist(self, flags: int) -> dict[Any, Any]:
        """Read cell after cell: attributes, tag, value, and the flags of the rest."""
        pairs: dict[Any, Any] = {}
        while flags & 0xFF == _PAIRLIST:
            if flags & _HAS_ATTRIBUTES:
                self.value()
            tag = self.value() if flags & _HAS_TAG else len(pairs)
            pairs[tag] = self.value()
            flags = self._integer()
        return pairs
