"""Caches of keys and values as 8-bit matrices that grow with the tokens (arithmetic.md §8)."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.codes import BLOCK
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from hw.spec.program import Index
from sw.compile.device_memory import DeviceMemory


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheShape:
    """Geometry of the caches of one key head.

    Keys are a matrix with tokens as outputs. Values are one with tokens as inputs, so that its
    tiles end at the last token; each is multiplied by itself, as its place must not depend on that.

    Attributes
    ----------
    head_width, context : int
        Channels of a head and most tokens.
    row_bytes : int
        Bytes of a row of a tile, one for each output.
    """

    head_width: int
    context: int
    row_bytes: int

    @classmethod
    def of(cls, params: CoreParams, *, head_width: int, context: int) -> CacheShape:
        """Shape the caches for a core."""
        row_bytes = W8.outputs(params.tile_lanes)
        return cls(head_width=head_width, context=context, row_bytes=row_bytes)

    @property
    def group_bytes(self) -> int:
        """Bytes of a group: the mantissas d, then its rows."""
        return W8.beats * self.row_bytes

    @property
    def shift(self) -> int:
        """Tokens of a tile of keys, as a power of two."""
        return self.row_bytes.bit_length() - 1

    @property
    def key_groups(self) -> int:
        """Groups of channels."""
        return -(-self.head_width // BLOCK)

    @property
    def value_groups(self) -> int:
        """Groups of tokens."""
        return -(-self.context // BLOCK)

    @property
    def key_tiles(self) -> int:
        """Tiles of tokens."""
        return -(-self.context // self.row_bytes)

    @property
    def value_tiles(self) -> int:
        """Tiles of channels."""
        return -(-self.head_width // self.row_bytes)

    @property
    def value_tile_bytes(self) -> int:
        """Bytes from a tile of channels to the next."""
        return self.value_groups * self.group_bytes

    def empty_keys(self) -> np.ndarray:
        """Return a cache without tokens: mantissas of 0."""
        return np.zeros(self.key_tiles * self.key_groups * self.group_bytes, np.uint8)

    def empty_values(self) -> np.ndarray:
        """Return a cache without tokens: mantissas of 1, whatever the token."""
        shape = (self.value_tiles * self.value_groups, W8.beats, self.row_bytes)
        octets = np.zeros(shape, np.uint8)
        octets[:, 0] = 1
        return octets


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadCaches:
    """Byte addresses of the caches of one key head in one layer.

    Attributes
    ----------
    shape : CacheShape
        Their geometry.
    keys, values : int
        First tile of each matrix.
    key_scales, value_scales : int
        Two bytes a token, m and e.
    """

    shape: CacheShape
    keys: int
    values: int
    key_scales: int
    value_scales: int

    @classmethod
    def place(cls, memory: DeviceMemory, shape: CacheShape) -> HeadCaches:
        """Take memory for the caches."""
        scales = np.zeros(2 * shape.context, np.uint8)
        return cls(
            shape=shape,
            keys=memory.place(shape.empty_keys()),
            values=memory.place(shape.empty_values()),
            key_scales=memory.place(scales),
            value_scales=memory.place(scales),
        )

    def keep_key(self) -> dict[str, int]:
        """Operands of KEEP for a key: the column of its token in every row and head."""
        shape = self.shape
        return {
            "address": self.keys + shape.row_bytes,
            "mantissas": self.keys,
            "scales": self.key_scales,
            "keys": 1,
            "index": Index.POSITION,
            "shift": shape.shift,
            "stride_high": shape.key_groups * shape.group_bytes,
            "stride_low": 1,
            "inner": BLOCK,
            "inner_stride": shape.row_bytes,
            "outer_stride": shape.group_bytes,
        }

    def keep_value(self) -> dict[str, int]:
        """Operands of KEEP for a value: the row of its token in every tile."""
        shape = self.shape
        return {
            "address": self.values + shape.row_bytes,
            "scales": self.value_scales,
            "index": Index.POSITION,
            "shift": BLOCK.bit_length() - 1,
            "stride_high": shape.group_bytes,
            "stride_low": shape.row_bytes,
            "inner": shape.row_bytes,
            "inner_stride": 1,
            "outer_stride": shape.value_tile_bytes,
        }
