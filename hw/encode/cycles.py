"""Clock cycles of the vector encoder, in closed form; a test holds them equal to the gateware."""

from collections.abc import Sequence

from hw.spec.codes import BLOCK

#: Scan: from the last element's turn to the first one's turn at the quantizer.
SETTLE = 13

#: From ``start``, or the end of the scan, to the first element's code, less the elements.
QUANTIZE = 10

#: From a block's last code to ``encoded``, apart from its events; and if it has no events.
STORE = 6
STORE_NOTHING = 3


def encode_cycles(inputs: int, events: Sequence[int], *, codes: bool = False) -> int:
    """Cycles from ``start`` to ``encoded``.

    Scan and quantizer take one element a cycle each. A whole block fires while the next one is
    quantized, so that only the last one's n events cost time: ``2 K + 29 + n`` for whole blocks, or
    ``K + 16 + n`` in the test mode. A partial block may wait for the block before it.

    Parameters
    ----------
    inputs : int
        Elements of the vector, K.
    events : sequence of int
        Events (spikes and integers) of each block of the vector.
    codes : bool
        True in the test mode, in which nothing is scanned.
    """
    last_code = inputs + QUANTIZE + (0 if codes else inputs + SETTLE)
    size = inputs - BLOCK * (len(events) - 1)
    before, last = [0, *events][-2:]
    wait = before - size
    return last_code + max(
        STORE_NOTHING,
        STORE + wait if before else 0,
        STORE + max(wait, 0) + last if last else 0,
    )
