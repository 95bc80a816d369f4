"""Frames of the host link, as bytes."""

import random
import zlib

import pytest

from hw.spec.link import (
    ESCAPE,
    FLAG,
    LONGEST,
    PAYLOAD,
    Answer,
    Command,
    Deframer,
    Identity,
    Request,
    Status,
    frame,
)

REQUEST = Request(
    sequence=7,
    command=Command.WRITE_MEMORY,
    address=0x11223344,
    count=4,
    payload=b"\x7d\x7e\x00\xff",
)


def test_a_frame_byte_by_byte():
    content = bytes.fromhex("07 05 44332211 0400 7d7e00ff")
    assert REQUEST.pack() == content
    sent = zlib.crc32(content).to_bytes(4, "little")
    assert FLAG not in sent and ESCAPE not in sent
    assert frame(content) == b"\x7e" + content[:8] + b"\x7d\x5d\x7d\x5e\x00\xff" + sent + b"\x7e"


def test_contents_come_back():
    assert Request.unpack(REQUEST.pack()) == REQUEST
    answer = Answer(sequence=255, status=Status.GAP, payload=b"\x01")
    assert Answer.unpack(answer.pack()) == answer
    identity = Identity(session=0xDEADBEEF, clock=40_000_000, memory=311_296)
    assert Identity.unpack(identity.pack()) == identity


def test_an_identity_of_something_else():
    octets = Identity(session=1, clock=2, memory=3).pack()
    with pytest.raises(ValueError, match="an identity has 20 bytes, not 19"):
        Identity.unpack(octets[:-1])
    with pytest.raises(ValueError, match="magic is 0x4b4c5346, not 0x4b4c5300"):
        Identity.unpack(b"\0" + octets[1:])
    with pytest.raises(ValueError, match="the board's link has version 9, this driver's 1"):
        Identity.unpack(octets[:8] + b"\x09" + octets[9:])


def test_frames_in_pieces_between_garbage():
    rng = random.Random(3)
    contents = [rng.randbytes(rng.randrange(1, LONGEST + 1)) for _ in range(60)]
    stream = b""
    for content in contents:
        if rng.random() < 0.3:
            stream += rng.randbytes(rng.randrange(30))
        stream += b"\x7e" * rng.randrange(3) + frame(content)
    deframer, found = Deframer(), []
    while stream:
        size = rng.randrange(1, 100)
        found += deframer.feed(stream[:size])
        stream = stream[size:]
    assert found == contents and deframer.dropped


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_passes(seed):
    """Lost, doubled and changed bytes lose frames, but never change one."""
    rng = random.Random(seed)
    contents = [bytes((i,)) + rng.randbytes(rng.randrange(12)) for i in range(200)]
    octets = bytearray(b"".join(map(frame, contents)))
    for _ in range(200):
        place = rng.randrange(len(octets))
        match rng.randrange(3):
            case 0:
                del octets[place]
            case 1:
                octets.insert(place, octets[place])
            case _:
                octets[place] ^= rng.randrange(1, 256)
    found = Deframer().feed(bytes(octets))
    assert set(found) <= set(contents) and 20 < len(found) < 200
    assert [contents.index(content) for content in found] == sorted(map(contents.index, found))


def test_too_much_without_a_flag_is_dropped():
    deframer = Deframer()
    assert deframer.feed(frame(bytes(2 * LONGEST))) == []
    assert deframer.dropped == 1
    assert deframer.feed(frame(b"again")) == [b"again"]


def test_payload_is_whole_words():
    assert PAYLOAD % 4 == 0 and LONGEST == 8 + PAYLOAD
