"""How deep memories are cut for block RAMs."""

import pytest

from hw.memory import cuts


@pytest.mark.parametrize(
    ("depth", "column"), [(1025, 8), (2048, 8), (2049, 4), (4097, 2), (7040, 2), (16384, 1)]
)
@pytest.mark.parametrize("width", [1, 2, 24, 42, 45])
def test_columns_hold_every_bit_once(width, depth, column):
    columns = cuts(width, depth)
    assert [bit for first, end in columns for bit in range(first, end)] == list(range(width))
    assert all(0 < end - first <= column for first, end in columns)
    assert len(columns) == -(-width // column)


@pytest.mark.parametrize("depth", [2, 1024, 16385])
def test_left_whole(depth):
    """One block RAM is deep enough, or none is."""
    assert cuts(45, depth) == [(0, 45)]
