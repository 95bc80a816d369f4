"""Beats of one width into beats of another, in order: a bus need not be as wide as a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class Beat(NamedTuple):
    """Data of a beat; whether it was answered with an error, and whether a burst ends with it."""

    data: int
    error: bool
    last: bool


def model(beats: Sequence[Beat], *, source: int, target: int) -> list[Beat]:
    """Change the width of whole bursts from ``source`` to ``target`` bits; low bits come first."""
    if source > target:
        parts, mask = source // target, (1 << target) - 1
        return [
            Beat(beat.data >> part * target & mask, beat.error, beat.last and part == parts - 1)
            for beat in beats
            for part in range(parts)
        ]
    parts = target // source
    return [
        Beat(
            sum(beat.data << part * source for part, beat in enumerate(joined)),
            any(beat.error for beat in joined),
            joined[-1].last,
        )
        for joined in (beats[first : first + parts] for first in range(0, len(beats), parts))
    ]


def beat_layout(width: int) -> data.StructLayout:
    """Members of :class:`Beat`, with ``width`` bits of data."""
    return data.StructLayout({"data": width, "error": 1, "last": 1})


class Gearbox(wiring.Component):
    """Joins narrow beats, or takes wide ones apart, at most one beat a cycle; see :func:`model`.

    A beat leaves in the cycle in which its last part comes. A wide beat stays at the source until
    its last part is taken, so that nothing but the parts of one narrow beat is kept here.

    Parameters
    ----------
    source, target : int
        Bits of a beat; one is the other times a power of two.

    Attributes
    ----------
    source : In(stream)
        Beats that come; see :func:`beat_layout`. Bursts are whole beats of either width.
    target : Out(stream)
        Beats that leave.
    """

    def __init__(self, *, source: int, target: int):
        self._widths = source, target
        self._parts = max(source, target) // min(source, target)
        super().__init__(
            {
                "source": In(stream.Signature(beat_layout(source))),
                "target": Out(stream.Signature(beat_layout(target))),
            }
        )

    def elaborate(self, platform):
        """Join, take apart, or pass on."""
        m = Module()
        source, target = self._widths
        if source < target:
            self._join(m)
        elif source > target:
            self._take_apart(m)
        else:
            wiring.connect(m, wiring.flipped(self.source), wiring.flipped(self.target))
        return m

    def _join(self, m):
        width, _ = self._widths
        part, final = Signal(range(self._parts)), Signal()
        kept, failed = Signal(width * (self._parts - 1)), Signal()
        joined = Cat(kept, self.source.p.data)
        m.d.comb += [
            final.eq(part == self._parts - 1),
            self.source.ready.eq(self.target.ready | ~final),
            self.target.valid.eq(self.source.valid & final),
            self.target.p.data.eq(joined),
            self.target.p.error.eq(failed | self.source.p.error),
            self.target.p.last.eq(self.source.p.last),
        ]
        with m.If(self.source.valid & self.source.ready):
            m.d.sync += [
                part.eq(part + 1),
                kept.eq(joined[width:]),
                failed.eq(self.target.p.error & ~final),
            ]

    def _take_apart(self, m):
        _, width = self._widths
        part, final = Signal(range(self._parts)), Signal()
        m.d.comb += [
            final.eq(part == self._parts - 1),
            self.source.ready.eq(self.target.ready & final),
            self.target.valid.eq(self.source.valid),
            self.target.p.data.eq(self.source.p.data.word_select(part, width)),
            self.target.p.error.eq(self.source.p.error),
            self.target.p.last.eq(self.source.p.last & final),
        ]
        with m.If(self.target.valid & self.target.ready):
            m.d.sync += part.eq(part + 1)
