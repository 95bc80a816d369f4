"""What synthesis may assume of a memory, and a deep one that is cut for block RAMs."""

from __future__ import annotations

from amaranth.hdl import Module, ShapeLike, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

#: Bits of an ECP5's block RAM, without parity, and the widths that a port may have.
_BLOCK_BITS = 1 << 14
_WIDTHS = (16, 8, 4, 2, 1)

#: Attribute of a memory of which no word is used that was read in the cycle of its writing: block
#: RAMs then need no logic behind them that gives the word before.
NO_COLLISIONS = {"no_rw_check": 1}

#: Attribute of a table that belongs in block RAM: synthesis takes logic for small ones otherwise,
#: and for each port again.
BLOCK = {"rom_style": "block"}


def cuts(width: int, depth: int) -> list[tuple[int, int]]:
    """Cut words of a deep memory into columns of one block RAM each, so that none must be chosen.

    Parameters
    ----------
    width, depth : int
        Bits of a word, and words.

    Returns
    -------
    list of tuple of int
        First bit of every column, and the bit behind its last.
    """
    fitting = [bits for bits in _WIDTHS if depth * bits <= _BLOCK_BITS]
    bits = width if depth * 16 <= _BLOCK_BITS or not fitting else fitting[0]
    return [(first, min(first + bits, width)) for first in range(0, width, bits)]


class ColumnMemory(wiring.Component):
    """A memory with a port to write and one to read, cut by :func:`cuts`.

    No word may be used that is read in the cycle of its writing.

    Parameters
    ----------
    shape : ShapeLike
        Of a word.
    depth : int
        Words, at least 2.

    Members
    -------
    write : In(WritePort.Signature)
        As of :class:`amaranth.lib.memory.Memory`.
    read : In(ReadPort.Signature)
        As of :class:`amaranth.lib.memory.Memory`; synchronous, and always enabled.
    """

    def __init__(self, *, shape: ShapeLike, depth: int):
        self._depth = depth
        width = ceil_log2(depth)
        super().__init__(
            {
                "write": In(WritePort.Signature(addr_width=width, shape=shape)),
                "read": In(ReadPort.Signature(addr_width=width, shape=shape)),
            }
        )

    def elaborate(self, platform):
        """Store every column by itself."""
        m = Module()
        given, read = Value.cast(self.write.data), Value.cast(self.read.data)
        for first, end in cuts(len(given), self._depth):
            column = Memory(shape=end - first, depth=self._depth, init=[], attrs=NO_COLLISIONS)
            m.submodules[f"column_{first}"] = column
            write, fetch = column.write_port(), column.read_port()
            m.d.comb += [
                write.addr.eq(self.write.addr),
                write.data.eq(given[first:end]),
                write.en.eq(self.write.en),
                fetch.addr.eq(self.read.addr),
                read[first:end].eq(fetch.data),
            ]
        return m
