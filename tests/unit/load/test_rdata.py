"""R values written out byte by byte, after the manual "R Internals"."""

from __future__ import annotations

import gzip
import struct

import pytest

from sw.load.rdata import _unserialize, read_lazy_load

HEADER = b"X\n" + struct.pack(">iii", 2, 0x040201, 0x020300)
NULL = struct.pack(">i", 254)


def word(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def string(text: bytes, flags: int = 0) -> bytes:
    return word(9 | flags, len(text)) + text


def test_vectors():
    assert _unserialize(HEADER + word(13, 3, 5, -7, 11)) == [5, -7, 11]
    assert _unserialize(HEADER + word(10, 2, 0, 1)) == [0, 1]
    assert _unserialize(HEADER + word(14, 1) + struct.pack(">d", 0.1)) == [0.1]
    assert _unserialize(HEADER + word(19, 2) + NULL + word(13, 1, 9)) == [None, [9]]


def test_strings_in_their_encodings_and_na():
    latin, utf8, absent = string(b"caf\xe9", 1 << 14), string("é".encode(), 1 << 15), word(9, -1)
    assert _unserialize(HEADER + word(16, 3) + latin + utf8 + absent) == ["café", "é", None]


def test_a_symbol_is_named_once_and_then_referred_to():
    names_of_a = word(2 | 1 << 10, 1) + string(b"names") + word(16, 1) + string(b"a") + NULL
    names_of_b = word(2 | 1 << 10, 255 | 1 << 8, 16, 1) + string(b"b") + NULL
    inner = word(13 | 1 << 9, 1, 4) + names_of_b
    outer = word(19 | 1 << 9, 2) + word(13 | 1 << 9, 1, 3) + names_of_a + inner
    two = word(2 | 1 << 10, 255 | 1 << 8, 16, 2) + string(b"x") + string(b"y") + NULL
    assert _unserialize(HEADER + outer + two) == {"x": {"a": 3}, "y": {"b": 4}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"A\n" + HEADER[2:], "XDR"),
        (b"X\n" + word(4, 0, 0), "version 4 is not 2 or 3"),
        (HEADER + word(3), "R type 3 is not read here|ends too early"),
        (HEADER + word(13, 3, 5), "ends too early"),
        (HEADER + word(13, -3), "ends too early"),
    ],
)
def test_refused_serializations(data, message):
    with pytest.raises(ValueError, match=message):
        _unserialize(data)


@pytest.mark.parametrize(
    "index",
    [b"", b"no gzip", gzip.compress(HEADER + word(13, 1, 5))],
    ids=["empty", "uncompressed", "unfinished"],
)
def test_refused_pairs(index):
    with pytest.raises(ValueError, match="not an R lazy-load pair|not an R serialization"):
        read_lazy_load(index, b"")
