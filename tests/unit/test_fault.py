"""Which events of a vector may be struck, and how."""

import torch

from hw.spec.codes import TABLES
from sw.fault import mac_events, spike_events
from sw.golden.codes import from_codes


def events_of(select, codes):
    return {number: (column, bits) for number, column, bits in select(encoded(codes))}


def encoded(codes):
    return from_codes(torch.tensor(codes), table=TABLES["companded"])


def test_every_code_that_fires_may_be_struck():
    assert events_of(mac_events, [0, 3, 0, -200]) == {
        0: (1, list(range(9))),
        1: (3, list(range(9))),
    }


def test_levels_stay_in_order():
    """In time 13, 6, 6, 3: between 6 and 0 the 3 may be 2 or 1; the 13 may be all from 6 on."""
    assert events_of(spike_events, [6, -13, -6, 3]) == {
        0: (1, [0, 1, 2, 4, 5, 6, 7]),
        3: (3, [0, 1]),
    }


def test_integers_are_struck_in_both_windows():
    """200 is 13 * 16 - 8; coarse levels end at 16."""
    found = events_of(spike_events, [0] * 33 + [200, 1])
    assert found == {
        0: (33, [0, 1, 2, 3]),
        1: (33, [0, 1, 2, 4, 5, 6, 7]),
        2: (34, [0, 1, 2]),
    }
