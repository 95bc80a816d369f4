"""Damage on a line: as much as asked for, of every kind, and the same for a seed."""

import pytest

from hw.spec.link import Deframer, frame
from sim.damage import KINDS, FrameDamage

CONTENTS = [i.to_bytes(4, "little") * 3 for i in range(2000)]


def test_share_and_kinds():
    damage = FrameDamage(0.05, seed=3)
    octets = b"".join(damage.pass_on(frame(content)) for content in CONTENTS)
    assert damage.frames == len(CONTENTS) and set(damage.done) == set(KINDS)
    assert 60 < sum(damage.done.values()) < 140
    found = Deframer().feed(octets)
    assert set(found) < set(CONTENTS)
    assert len(found) == len(CONTENTS) + damage.done["duplicate"] - sum(
        damage.done[kind] for kind in ("drop", "corrupt")
    )
    late = sum(before > after for before, after in zip(*(found, found[1:]), strict=False))
    assert late


def test_seeds():
    def run(seed):
        damage = FrameDamage(0.2, seed=seed)
        return b"".join(damage.pass_on(frame(content)) for content in CONTENTS[:100])

    assert run(1) == run(1) != run(2)


def test_whole_frames_leave():
    damage, octets = FrameDamage(0.0, seed=0), frame(b"one") + frame(b"two")
    assert b"".join(damage.pass_on(octets[i : i + 1]) for i in range(len(octets))) == octets
    assert damage.pass_on(octets[:5]) == b""


def test_shares():
    with pytest.raises(ValueError, match="share must be 0..1, not 2"):
        FrameDamage(2, seed=0)
