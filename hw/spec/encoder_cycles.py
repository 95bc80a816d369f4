"""Clock cycles of the vector encoder, in closed form; a test holds them equal to the gateware."""

from collections.abc import Sequence

from hw.spec.codes import BLOCK

#: From a block's turn at its scale to the first element's turn at the quantizer.
SETTLE = 10

#: From ``start``, or the end of the scan, to the first element's code.
QUANTIZE = 13

#: From a block's last code, or its last event in the sorter, until it is stored.
STORE = 2

#: From a change of blocks in the sorter to the first event.
FIRE = 2


def shared_cycles(blocks: int, shared: int) -> int:
    """Cycles that scales come later where neighbouring blocks share theirs: they wait for all."""
    return 0 if shared == 1 else min(blocks, shared) + 2


def stored_cycles(
    inputs: int,
    digits: Sequence[tuple[int, int]] | None = None,
    *,
    codes: bool = False,
    shared: int = 1,
) -> list[int]:
    """Cycles from ``start`` until each block is stored.

    A replay that chases the encoder offers a block as late as if it were asked for then. One scale
    a cycle is computed, then one element a cycle quantized, so that the first of G blocks of 32 is
    stored after ``G + 57`` cycles, or 47 in the test mode; for ``spike`` add two passes of its
    events.

    Parameters
    ----------
    inputs : int
        Elements of the vector, K.
    digits : sequence of (int, int)
        Of the ``spike`` integrator: the events of each block in the coarse window and in the fine
        one. None for ``mac``.
    codes : bool
        True in the test mode and where scales are fixed: nothing is scanned.
    shared : int
        Neighbouring blocks that share a scale.
    """
    blocks = -(-inputs // BLOCK)
    scanned = blocks + SETTLE + shared_cycles(blocks, shared)
    first_code = QUANTIZE + (0 if codes else scanned)
    if digits is None:
        ends = [min(end, inputs) for end in range(BLOCK, inputs + BLOCK, BLOCK)]
    else:
        ends = sort_cycles(inputs, digits)
    return [first_code + end + STORE for end in ends]


def encode_cycles(
    inputs: int,
    digits: Sequence[tuple[int, int]] | None = None,
    *,
    codes: bool = False,
    shared: int = 1,
) -> int:
    """Cycles from ``start`` to ``encoded``: those of the last block of :func:`stored_cycles`.

    ``K + G + 25`` for ``mac``, or ``K + 15`` in the test mode.
    """
    return stored_cycles(inputs, digits, codes=codes, shared=shared)[-1]


def sort_cycles(inputs: int, digits: Sequence[tuple[int, int]]) -> list[int]:
    """Cycles from the first code until all events of each block have left the sorter.

    Blocks are sorted in slots. In the slot of block b, its codes are split, the fine events of
    block b - 1 go from pass to pass, and fine events of b - 2 and coarse ones of b - 1 fire. A slot
    ends when all of that is done; after the last block come two slots without codes.
    """
    now = -1
    complete = []
    before, older = (0, 0), (0, 0)
    for number, block in enumerate([*digits, (0, 0), (0, 0)]):
        if number >= 2:
            complete.append(now + _drain(older[1]))
        size = max(0, min(BLOCK, inputs - BLOCK * number))
        now += max(size, _drain(max(before[1], older[1] + before[0])))
        before, older = block, before
    return complete


def _drain(events: int) -> int:
    return FIRE + events if events else 1
