"""Latest arrivals in a graph of a few nodes."""

import pytest

from tools.arrivals import Arrival, Arrivals, End, name_of

BEGINS = {"q": Arrival(1, "core.a.from_TRELLIS_FF_Q_3"), "r": Arrival(2, "core.b.from")}


def test_of_several_ways_the_slowest_counts_and_of_equals_the_same_one_each_time():
    arcs = {"q": [("x", 5), ("y", 1)], "r": [("x", 4)], "x": [("y", 1)]}
    arrivals = Arrivals(BEGINS, arcs)
    ends = [End("y", 0.5, "core.matrix.c.to_1", "DI"), End("x", 0, "core.matrix.c.to_2", "DI")]
    (path,) = arrivals.slow(ends, 0)
    assert path == (7.5, path.begin, "c.to", 2)
    assert [Arrivals(BEGINS, arcs).slow(ends, 0) for _ in range(3)] == [[path]] * 3
    arcs["q"] = [("x", 5.5), ("y", 7)]
    assert Arrivals(BEGINS, arcs).slow(ends, 6.5) == [(8.5, "a.from", "c.to", 1)]
    assert Arrivals(BEGINS, arcs).slow(ends, 8.5) == []


def test_paths_are_told_apart_by_their_ends_and_by_pins_that_no_data_reaches():
    arcs = {"q": [("x", 1)]}
    ends = [End("x", 1, "core.c", pin) for pin in ("DI", "CE", "LSR", "M")]
    ends += [End("r", 3, "core.c", "DI"), End("nowhere", 99, "core.c", "DI")]
    slow = Arrivals(BEGINS, arcs).slow(ends, 0)
    assert slow[0] == (5, "b.from", "c", 1)
    assert {path.end: path.count for path in slow[1:]} == {"c": 2, "c:CE": 1, "c:LSR": 1}
    assert str(slow[0]) == "   5.0 ns      1  b.from to c"


def test_nodes_in_and_behind_a_loop_do_not_hang_it():
    arcs = {"loop": [("back", 1)], "back": [("loop", 1), ("behind", 1)], "r": [("fine", 1)]}
    ends = [End(node, 0, "core.c", "DI") for node in ("loop", "behind", "fine")]
    assert Arrivals(BEGINS, arcs).slow(ends, 0) == [(3, "b.from", "c", 1)]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("core.token$7.b.to_TRELLIS_FF_Q_1", "b.to"),
        ("core.matrix.memory.0.3", "memory"),
        ("core.vector_unit.table_DOA3", "vector_unit.table"),
    ],
)
def test_names_leave_out_bits_and_numbers_of_equal_parts(cell, name):
    assert name_of(cell) == name
