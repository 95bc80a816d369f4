"""What synthesis may assume of a memory, and how a deep one is cut for block RAMs."""

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
