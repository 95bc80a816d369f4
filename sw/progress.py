"""Progress of long work on a terminal: on standard error, as standard output may hold results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, track

_Item = TypeVar("_Item")


def watched(items: Sequence[_Item], what: str) -> Iterable[_Item]:
    """Iterate with progress; nothing is shown where there is no terminal."""
    console = Console(stderr=True)
    return track(
        items, description=what, console=console, transient=True, disable=not console.is_terminal
    )


@contextlib.contextmanager
def watching(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show progress of what is done in here; nothing is shown where there is no terminal.

    Yields
    ------
    callable
        Takes how much of ``total`` has been done since the last call.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)
