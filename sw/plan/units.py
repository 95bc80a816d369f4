"""Cycles of the instructions of the vector unit."""

from __future__ import annotations

from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import (
    WRITE_TURN,
    embed_cycles,
    feed_cycles,
    layer_norm_cycles,
    rotate_cycles,
    softmax_cycles,
    sum_cycles,
)
from sw.plan.store import store_cycles


def vector_cycles(i: Instruction, count: int, params: CoreParams, *, latency: int) -> int:
    """Cycles from start to end.

    Parameters
    ----------
    i : Instruction
        Of the vector unit.
    count : int
        Its elements.
    params : CoreParams
        The core.
    latency : int
        Of the memory, for bytes that KEEP writes.
    """
    width = params.vector_width
    match i.opcode:
        case Opcode.EMBED:
            return embed_cycles(count)
        case Opcode.ROTATE:
            return WRITE_TURN + rotate_cycles(count, i["inner"], width)
        case Opcode.KEEP:
            mantissas = -(-count // i["inner"]) if i["keys"] else 0
            return store_cycles(count, count + mantissas + 2, width=width, latency=latency)
        case Opcode.SOFTMAX:
            return softmax_cycles(count, width)
        case Opcode.LAYER_NORM:
            return layer_norm_cycles(count, width)
        case Opcode.SUM:
            return sum_cycles(count, i["inner"], width)
    return feed_cycles(i.opcode, count, width)
