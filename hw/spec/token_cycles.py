"""Clock cycles of the units that run a token beside the matrix engine, in closed form.

The tests of each unit hold its cycles, from ``start`` to ``done``, equal to these.
"""

from __future__ import annotations

from math import ceil, log2

from hw.spec.program import Opcode

#: Cycles of NORM, NORMALIZE, GATE and GELU beside those of their beats, for one element a cycle.
_FEED = {Opcode.NORMALIZE: 23, Opcode.NORM: 31, Opcode.GATE: 39, Opcode.GELU: 33}

#: Cycles of 1/rms behind the last beat of NORM: what short vectors wait for.
_ROOT = 52

#: Cycles from asking the output buffer for an accumulator until all of its drain has happened.
DRAIN = 21

#: Cycles from an instruction's take until it can be issued, if no address moves by an index.
_DECODE = 6


def feed_cycles(opcode: Opcode, count: int, width: int) -> int:
    """Cycles of NORM, NORMALIZE, GATE or GELU: twice by beats of ``width`` elements."""
    beats, stages = ceil(count / width), int(log2(width))
    passes = 2 * beats + _FEED[opcode] + stages
    return max(passes, beats + _ROOT + stages) if opcode is Opcode.NORM else passes


def softmax_cycles(count: int, width: int) -> int:
    """Cycles of SOFTMAX: three times by beats of ``width`` scores."""
    return 3 * ceil(count / width) + 61 + 2 * int(log2(width))


def layer_norm_cycles(count: int, width: int) -> int:
    """Cycles of LAYER_NORM: four times by beats, of which the norm takes two together."""
    return 4 * ceil(count / width) + 90 + 2 * int(log2(width))


def sum_cycles(count: int, rows: int, width: int) -> int:
    """Cycles of SUM: by beats of every vector."""
    return rows * ceil(count / width) + 16


def embed_cycles(count: int) -> int:
    """Cycles of EMBED for so many elements."""
    return count + 10


#: From the start of ROTATE until it begins: from then on the drain writes nothing.
WRITE_TURN = 1


def rotate_cycles(heads: int, inner: int, width: int) -> int:
    """Cycles of ROTATE for heads of ``inner`` pairs: by beats where these fill such."""
    steps = inner if inner % width else inner // width
    return 2 * heads * steps + 15


def keep_cycles(count: int, octets: int, width: int) -> int:
    """Cycles of KEEP for ``count`` words that become so many bytes, where no byte waits."""
    return ceil(count / width) + octets + 30 + int(log2(width))


def decode_cycles(index: int) -> int:
    """Cycles from an instruction's take until it can be issued.

    Parameters
    ----------
    index : int
        Token, or position + ``ahead``, that moves the instruction's address; 0 if none does.
    """
    return max(_DECODE, index.bit_length() + 3)
