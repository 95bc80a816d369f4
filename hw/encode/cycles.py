"""Clock cycles of the vector encoder, in closed form; a test holds them equal to the gateware."""

from collections.abc import Sequence

from hw.spec.codes import BLOCK

#: Scan: from the last element's turn to the first one's turn at the quantizer.
SETTLE = 13

#: From ``start``, or the end of the scan, to the first element's code, less the element itself.
QUANTIZE = 12

#: From a vector's last code to ``encoded`` for ``mac``; for ``spike``, what the sorter leaves.
STORE = 3
DRAIN = 2

#: From a change of blocks in the sorter to the first event, and from the last event to the next.
FIRE = 2


def encode_cycles(
    inputs: int, digits: Sequence[tuple[int, int]] | None = None, *, codes: bool = False
) -> int:
    """Cycles from ``start`` to ``encoded``.

    Scan and quantizer take one element a cycle each: ``2 K + 28`` for ``mac``, or ``K + 15`` in the
    test mode.

    Parameters
    ----------
    inputs : int
        Elements of the vector, K.
    digits : sequence of (int, int)
        Of the ``spike`` integrator: the events of each block in the coarse window and in the fine
        one. None for ``mac``.
    codes : bool
        True in the test mode, in which nothing is scanned.
    """
    first_code = QUANTIZE + (0 if codes else inputs + SETTLE)
    return first_code + (inputs + STORE if digits is None else sort_cycles(inputs, digits) + DRAIN)


def sort_cycles(inputs: int, digits: Sequence[tuple[int, int]]) -> int:
    """Cycles from the first code to when no event is left.

    Blocks are sorted in slots. In the slot of block b, its codes are split, the fine events of
    block b - 1 go from pass to pass, and fine events of b - 2 and coarse ones of b - 1 fire. A slot
    ends when all of that is done; after the last block come two slots without codes.
    """
    cycles = 0
    before, older = (0, 0), (0, 0)
    for number, block in enumerate([*digits, (0, 0), (0, 0)]):
        events = max(before[1], older[1] + before[0])
        drain = FIRE + events if events else 1
        size = max(0, min(BLOCK, inputs - BLOCK * number))
        cycles += max(size, drain)
        before, older = block, before
    return cycles - 1
