"""Charts as inline SVG; what each shows stands in a table beside it too.

Marks that stand for a number carry it as ``data-value`` with its place in the run's JSON as
``data-key``, so that a page can be checked against the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_WIDTH = 720
_LABEL = 190
_ROW = 24


class Part(NamedTuple):
    """A number in a chart: where it stands in JSON, its value, and its class of colour."""

    key: str
    value: float
    kind: str


class Bar(NamedTuple):
    """A bar of parts side by side, with what it is and the text behind it."""

    label: str
    parts: list[Part]
    text: str


class Spot(NamedTuple):
    """A point of a scatter plot; ``key`` is that of ``y``."""

    label: str
    x: float
    y: float
    key: str
    kind: str


class Tick(NamedTuple):
    """A spike of a raster: its time step from the window's start, its row, its sign and window."""

    step: float
    row: int
    kind: str


def bars(items: Sequence[Bar], *, title: str) -> Markup:
    """Horizontal bars, their parts stacked."""
    most = max((sum(part.value for part in bar.parts) for bar in items), default=0) or 1
    room = _WIDTH - _LABEL - 12 - 6.8 * max((len(bar.text) for bar in items), default=0)
    pieces = []
    for i, bar in enumerate(items):
        y, x = 6 + i * _ROW, float(_LABEL)
        pieces.append(_text(_LABEL - 8, y + 13, bar.label, anchor="end"))
        for part in bar.parts:
            width = room * part.value / most
            pieces.append(
                f'<rect x="{x:.2f}" y="{y}" width="{max(width, 0):.2f}" height="16" '
                f'class="{part.kind}" data-key="{escape(part.key)}" data-value="{part.value!r}"/>'
            )
            x += width
        pieces.append(_text(x + 6, y + 13, bar.text))
    return _svg(pieces, 12 + len(items) * _ROW, title)


def scatter(
    spots: Sequence[Spot], *, title: str, x_label: str, y_label: str, lines: Sequence[str] = ()
) -> Markup:
    """Points over axes, y logarithmic; points of a kind in ``lines`` are joined."""
    if not spots:
        return _svg([_text(20, 30, "no points")], 50, title)
    left, top, width, height = 70, 14, _WIDTH - 220, 300
    most_x = max(spot.x for spot in spots) * 1.05 or 1.0
    low = min(spot.y for spot in spots)
    high = max(spot.y for spot in spots)
    span = math.log(high / low) or 1.0

    def place(spot: Spot) -> tuple[float, float]:
        x = left + width * spot.x / most_x
        return x, top + 10 + (height - 20) * (1 - math.log(spot.y / low) / span)

    pieces = [
        f'<path class="axis" d="M{left} {top}V{top + height}H{left + width}"/>',
        _text(left + width / 2, top + height + 36, x_label, anchor="middle"),
        f'<text transform="translate(14 {top + height / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * share
        pieces.append(_text(x, top + height + 16, f"{100 * share * most_x:.0f} %", anchor="middle"))
        y = top + 10 + (height - 20) * (1 - share)
        pieces.append(_text(left - 6, y + 4, f"{low * math.exp(span * share):.2f}", anchor="end"))
    for kind in lines:
        path = sorted(place(spot) for spot in spots if spot.kind == kind)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
        pieces.append(f'<polyline class="line {kind}" points="{points}"/>')
    taken: list[float] = []
    for spot in sorted(spots, key=lambda each: -place(each)[1]):
        x, y = place(spot)
        pieces.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="5" class="{spot.kind}" '
            f'data-key="{escape(spot.key)}" data-value="{spot.y!r}">'
            f"<title>{escape(spot.label)}</title></circle>"
        )
        if spot.label and spot.kind not in lines:
            beside = y + 4
            while any(abs(beside - other) < 12 for other in taken):
                beside -= 12
            taken.append(beside)
            pieces.append(
                f'<path class="leader" d="M{x + 6:.1f} {y:.1f}'
                f'L{left + width + 6} {beside - 4:.1f}"/>'
            )
            pieces.append(_text(left + width + 10, beside, spot.label))
    return _svg(pieces, top + height + 46, title)


def raster(ticks: Sequence[Tick], *, steps: Sequence[str], title: str) -> Markup:
    """Spikes of the 32 channels of a block over the time steps of its windows."""
    left, cell, row = 44, max(12.0, min(34.0, (_WIDTH - 60) / max(1, len(steps)))), 11
    height = 32 * row
    pieces = [
        f'<rect class="ground" x="{left}" y="4" width="{cell * len(steps):.1f}" height="{height}"/>'
    ]
    for channel in range(0, 32, 8):
        pieces.append(_text(left - 6, 4 + channel * row + 9, str(channel), anchor="end"))
    for i, label in enumerate(steps):
        pieces.append(_text(left + cell * (i + 0.5), height + 18, label, anchor="middle"))
    for tick in ticks:
        x = left + cell * tick.step
        pieces.append(
            f'<rect class="{tick.kind}" x="{x + 2:.1f}" y="{4 + tick.row * row + 1}" '
            f'width="{cell - 4:.1f}" height="{row - 2}" data-row="{tick.row}"/>'
        )
    caption = "level; time runs to the right, large levels first"
    pieces.append(_text(left, height + 36, caption))
    return _svg(pieces, height + 44, title)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(pieces: Sequence[str], height: int, title: str) -> Markup:
    body = "".join(pieces)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )
