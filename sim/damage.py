"""Damage on a serial line: frames are lost, doubled, changed or overtaken."""

from __future__ import annotations

import random
from collections import Counter

from hw.spec.link import FLAG

KINDS = ("drop", "duplicate", "corrupt", "reorder")


class FrameDamage:
    """Damages frames at random.

    Parameters
    ----------
    share : float
        Share of the frames that are damaged, each in one of :data:`KINDS`.
    seed : int
        Of the choice.

    Attributes
    ----------
    frames : int
        Frames so far.
    done : Counter
        How many were damaged, by kind.
    """

    def __init__(self, share: float, *, seed: int):
        if not 0 <= share <= 1:
            raise ValueError(f"share must be 0..1, not {share}")
        self._share, self._random = share, random.Random(seed)
        self._frame, self._held = bytearray(), b""
        self.frames = 0
        self.done: Counter[str] = Counter()

    def pass_on(self, octets: bytes) -> bytes:
        """Take bytes of the line; return those that arrive, whole frames at a time."""
        passed = b""
        for octet in octets:
            self._frame.append(octet)
            if octet == FLAG and len(self._frame) > 1:
                passed += self._damage(bytes(self._frame))
                self._frame.clear()
        return passed

    def _damage(self, frame: bytes) -> bytes:
        self.frames += 1
        held, self._held = self._held, b""
        if self._random.random() >= self._share:
            return frame + held
        kind = self._random.choice(KINDS)
        self.done[kind] += 1
        match kind:
            case "drop":
                return held
            case "duplicate":
                return frame + frame + held
            case "corrupt":
                place = self._random.randrange(1, len(frame) - 1)
                changed = frame[place] ^ self._random.randrange(1, 256)
                return frame[:place] + bytes((changed,)) + frame[place + 1 :] + held
            case _:
                self._held = frame
                return held
