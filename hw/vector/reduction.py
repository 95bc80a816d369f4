"""Reduces the elements of a vector to one number, whatever the vector's length."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from hw.compare import above


def greater(a: Value, b: Value) -> Value:
    """Return the greater of two numbers."""
    signed = a.shape().signed and b.shape().signed
    return Mux(above(a, b) if signed else a > b, a, b)


def reduction_stages(width: int) -> int:
    """Return the cycles from a vector's last terms to its result."""
    return ceil_log2(width) + 1


def reduce(
    m: Module, terms: list[Value], tag, combine: Callable, result: Signal, start: Value | int = 0
) -> Signal:
    """Combine the terms of a vector's beats: a registered tree, then a running result.

    Parameters
    ----------
    m : Module
        Gets the registers.
    terms : list of Value
        One per element of a beat; those past its count are neutral (0).
    tag : View
        ``valid``, ``count`` and ``last`` of the beat; see :func:`hw.vector.beat.delay`.
    combine : callable
        Of two terms, associative and commutative.
    result : Signal
        Running result.
    start : Value or int
        What a vector's first terms are combined with.

    Returns
    -------
    Signal
        High for the one cycle in which ``result`` has become that of a whole vector.
    """
    valid, last = tag.valid, tag.last
    while len(terms) > 1:
        pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
        combined = [combine(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        terms = [Signal.like(value, name="partial", reset_less=True) for value in combined]
        next_valid, next_last = Signal(name="partial_valid"), Signal(name="partial_last")
        m.d.sync += [
            *(term.eq(value) for term, value in zip(terms, combined, strict=True)),
            next_valid.eq(valid),
            next_last.eq(last),
        ]
        valid, last = next_valid, next_last

    first = Signal(init=1)
    done = Signal()
    m.d.sync += done.eq(valid & last)
    with m.If(valid):
        m.d.sync += [result.eq(combine(Mux(first, start, result), terms[0])), first.eq(last)]
    return done
