"""Beats of a vector: several elements a cycle, in order, the last beat perhaps partial."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data

#: Elements a cycle of every component, unless one asks for more or fewer.
WIDTH = 4

#: Signed bits of a vector word (``docs/arithmetic.md`` §6).
WORD_BITS = 24

#: Most elements of a vector (§6).
LONGEST = 65536


def beat_layout(shape, width: int) -> data.StructLayout:
    """Return the layout of a beat.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    width : int
        Elements of a full beat, at least 1.

    Returns
    -------
    StructLayout
        ``elements``, the ``count`` of them (from the front, 1..width; what stands behind is
        ignored), and ``last`` in a vector's last beat. Only that beat may be partial.

    Raises
    ------
    ValueError
        If ``width`` is below 1.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1 element a cycle, not {width}; choose e.g. 4")
    return data.StructLayout(
        {"elements": data.ArrayLayout(shape, width), "count": range(width + 1), "last": 1}
    )


def delay(m: Module, beats, stages: int) -> list[Signal]:
    """Return a stream's ``valid``, ``count`` and ``last`` behind 0 to ``stages`` registers.

    ``valid`` is true where a beat is transferred.
    """
    beat = beats.payload
    layout = data.StructLayout({"valid": 1, "count": beat.count.shape(), "last": 1})
    tags = [Signal(layout, name=f"tag_{stage}") for stage in range(stages + 1)]
    m.d.comb += [
        tags[0].valid.eq(beats.valid & beats.ready),
        tags[0].count.eq(beat.count),
        tags[0].last.eq(beat.last),
    ]
    m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]
    return tags


def send(m: Module, tag: Signal, beats) -> None:
    """Drive all of a stream's beats but the elements from a tag of :func:`delay`."""
    m.d.comb += [
        beats.valid.eq(tag.valid),
        beats.p.count.eq(tag.count),
        beats.p.last.eq(tag.last),
    ]
