"""Sentence polarity: movie-review sentences with mean human ratings, in fixed splits.

Source: the ratings that C. J. Hutto and E. Gilbert published with *VADER* (ICWSM 2014), inside the
PyPI package ``vaderSentiment``; the sentences are those of Pang and Lee's movie reviews.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from sw.errors import UserError

#: Least magnitude of a mean rating (-4..4) that is a polarity and not neutral.
LEAST_RATING = 0.4

#: Part of the sentences in each split; the rest trains.
SHARES = {"test": 0.25, "validation": 0.1}
SPLITS = ("train", *SHARES)

_SEED = "firstspike polarity 0"


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence and its label.

    Attributes
    ----------
    text : str
        The sentence.
    label : int
        1 if its mean rating is positive, 0 if negative.
    """

    text: str
    label: int


def split_of(text: str) -> str:
    """Split of a sentence, by a hash of its words: the same sentence is always in the same one."""
    words = " ".join(text.casefold().split())
    digest = hashlib.sha256(f"{_SEED}\n{words}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name, share in SHARES.items():
        if place < share:
            return name
        place -= share
    return "train"


def read_polarity(path: Path) -> dict[str, list[Sentence]]:
    """Read the sentences of every split.

    Parameters
    ----------
    path : pathlib.Path
        Lines of number, mean rating and sentence, parted by tabs.

    Returns
    -------
    dict
        Sentences by split, in the order of the file; neutral ones and repetitions are left out.

    Raises
    ------
    UserError
        If a line has no rating, or a split would be empty.
    """
    splits: dict[str, list[Sentence]] = {name: [] for name in SPLITS}
    seen = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.strip("\r\n").split("\t")
        try:
            rating, text = float(parts[1]), parts[2].strip()
        except (IndexError, ValueError):
            raise UserError(
                f"{path}, line {number}: wanted number, rating and sentence between tabs."
            ) from None
        words = " ".join(text.casefold().split())
        if abs(rating) < LEAST_RATING or not text or words in seen:
            continue
        seen.add(words)
        splits[split_of(text)].append(Sentence(text, int(rating > 0)))
    for name, sentences in splits.items():
        if not sentences:
            raise UserError(f"{path} holds too few sentences: none is in the split {name}.")
    return splits
