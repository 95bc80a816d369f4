"""Steps of a build that are not done again while their inputs are the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

#: Which inputs the finished steps had.
RECORD = "steps.json"

#: Told what a step is at.
Say = Callable[[str], None]


def fingerprint(*parts: str | bytes) -> str:
    """Hash of what a step depends on."""
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode() if isinstance(part, str) else part
        digest.update(len(octets).to_bytes(8, "little") + octets)
    return digest.hexdigest()


class Steps:
    """Runs steps in order, with a line for each.

    Parameters
    ----------
    folder : Path
        Where the files of the steps are, and the record of what is finished; made if need be.
    count : int
        How many steps there are.
    console : Console
        Where the lines go.

    Attributes
    ----------
    seconds : dict of str to float
        Time that each step took when it was last done.
    """

    def __init__(self, folder: Path, *, count: int, console: Console):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._count, self._console = folder, count, console
        self._number = 0
        self._record: dict[str, dict] = {}
        path = folder / RECORD
        if path.exists():
            try:
                self._record = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # cut off in the middle: all is done anew
                self._record = {}
        self.seconds: dict[str, float] = {}

    def run(
        self, name: str, inputs: str, outputs: Sequence[Path], work: Callable[[Say], None]
    ) -> None:
        """Do a step, unless it was done with the same inputs and its files are there.

        Parameters
        ----------
        name : str
            For people.
        inputs : str
            :func:`fingerprint` of all that the files depend on.
        outputs : sequence of Path
            Files that the step makes.
        work : callable
            Makes them.
        """
        self._number += 1
        title = f"{self._number}/{self._count} {name}"
        done = self._record.get(name, {})
        if done.get("inputs") == inputs and all(path.exists() for path in outputs):
            self.seconds[name] = done["seconds"]
            self._console.print(f"{title}: unchanged")
            return
        self._forget(name)
        started = time.monotonic()
        with self._console.status(title) as status:
            work(lambda what: status.update(f"{title}: {what}"))
        self.seconds[name] = round(time.monotonic() - started, 1)
        self._record[name] = {"inputs": inputs, "seconds": self.seconds[name]}
        self._save()
        self._console.print(f"{title}: {self.seconds[name]:g} s")

    def _forget(self, name: str) -> None:
        if self._record.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        path = self._folder / RECORD
        whole = path.with_suffix(".new")
        whole.write_text(json.dumps(self._record, indent=2) + "\n", encoding="utf-8")
        whole.replace(path)
