"""The host link of boards: frames on a serial line (``docs/link.md``)."""

from __future__ import annotations

import dataclasses
import enum
import struct
import zlib

#: First bytes of the answer to HELLO, as a little-endian word: "FSLK".
MAGIC = int.from_bytes(b"FSLK", "little")

#: Version of the link.
VERSION = 1

#: Stands between frames, and nowhere else.
FLAG = 0x7E

#: Stands before a byte that is sent inverted by :data:`INVERT`, as :data:`FLAG` and itself must be.
ESCAPE = 0x7D
INVERT = 0x20

#: Requests that may be unanswered; answers that are kept to be sent again.
WINDOW = 8

#: Most bytes of a request's or an answer's payload.
PAYLOAD = 240

#: Bytes of a word: every payload but the answer GAP is a whole number of these.
WORD = 4

_REQUEST = struct.Struct("<BBIH")
_ANSWER = struct.Struct("<BB")
_CHECK = struct.Struct("<I")
_IDENTITY = struct.Struct("<IIBBHII")

#: Bytes before the payload of a request and of an answer, and of the check behind either.
REQUEST_HEAD, ANSWER_HEAD, CHECK = _REQUEST.size, _ANSWER.size, _CHECK.size

#: Bytes of the longest request without its check.
LONGEST = REQUEST_HEAD + PAYLOAD


class Command(enum.IntEnum):
    """What a request asks for."""

    #: begin a session, which `address` names; the answer is an :class:`Identity`
    HELLO = 1
    #: read a register `count / 4` times
    READ_REGISTER = 2
    #: write the words of the payload to a register, one after the other
    WRITE_REGISTER = 3
    #: read `count` bytes of device memory
    READ_MEMORY = 4
    #: write the payload to device memory
    WRITE_MEMORY = 5
    #: read the clock cycles since the board's start, 32 bits that wrap
    CYCLES = 6


class Status(enum.IntEnum):
    """How a request went."""

    #: done
    OKAY = 0
    #: the core refused an access, or device memory ends before; accesses before it are done
    REFUSED = 1
    #: unknown command, or a length that does not suit it; nothing is done
    MALFORMED = 2
    #: not the request that is due, whose number is the payload; nothing is done
    GAP = 3
    #: no session has begun since the board's start; nothing is done
    STRANGER = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What the host sends.

    Attributes
    ----------
    sequence : int
        Number modulo 256; one more than the request before.
    command : int
        See :class:`Command`.
    address : int
        Byte address, a multiple of 4; of HELLO any number that names the session.
    count : int
        Bytes to read, or of the payload; a multiple of 4, at most :data:`PAYLOAD`.
    payload : bytes
        Bytes to write.
    """

    sequence: int
    command: int
    address: int = 0
    count: int = 0
    payload: bytes = b""

    def pack(self) -> bytes:
        """Return the frame's content, without its check."""
        head = _REQUEST.pack(self.sequence, self.command, self.address, self.count)
        return head + self.payload

    @classmethod
    def unpack(cls, content: bytes) -> Request:
        """Read a frame's content of at least :data:`REQUEST_HEAD` bytes."""
        sequence, command, address, count = _REQUEST.unpack_from(content)
        return cls(
            sequence=sequence,
            command=command,
            address=address,
            count=count,
            payload=content[REQUEST_HEAD:],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What the board sends: once for every request that arrives whole.

    Attributes
    ----------
    sequence : int
        Of the request.
    status : int
        See :class:`Status`.
    payload : bytes
        What was read; nothing unless OKAY or GAP.
    """

    sequence: int
    status: int = Status.OKAY
    payload: bytes = b""

    def pack(self) -> bytes:
        """Return the frame's content, without its check."""
        return _ANSWER.pack(self.sequence, self.status) + self.payload

    @classmethod
    def unpack(cls, content: bytes) -> Answer:
        """Read a frame's content of at least :data:`ANSWER_HEAD` bytes."""
        sequence, status = _ANSWER.unpack_from(content)
        return cls(sequence=sequence, status=status, payload=content[ANSWER_HEAD:])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """Answer to HELLO.

    Attributes
    ----------
    session : int
        As the host named it.
    clock : int
        Frequency of the core in Hz.
    memory : int
        Bytes of device memory.
    """

    session: int
    clock: int
    memory: int

    def pack(self) -> bytes:
        """Return the payload."""
        fixed = MAGIC, self.session, VERSION, WINDOW, PAYLOAD
        return _IDENTITY.pack(*fixed, self.clock, self.memory)

    @classmethod
    def unpack(cls, payload: bytes) -> Identity:
        """Read a payload.

        Raises
        ------
        ValueError
            If another kind or version of link answers.
        """
        if len(payload) != _IDENTITY.size:
            raise ValueError(f"an identity has {_IDENTITY.size} bytes, not {len(payload)}")
        magic, session, *found, clock, memory = _IDENTITY.unpack(payload)
        if magic != MAGIC:
            raise ValueError(f"the link's magic is {MAGIC:#010x}, not {magic:#010x}")
        if found != [VERSION, WINDOW, PAYLOAD]:
            raise ValueError(f"the board's link has version {found[0]}, this driver's {VERSION}")
        return cls(session=session, clock=clock, memory=memory)


def check(content: bytes) -> bytes:
    """CRC-32 (ISO-HDLC, as in Ethernet) of a frame's content, as it follows it."""
    return _CHECK.pack(zlib.crc32(content))


def stuff(octets: bytes) -> bytes:
    """Escape what must not stand in a frame."""
    escaped = bytearray()
    for octet in octets:
        if octet in (FLAG, ESCAPE):
            escaped += bytes((ESCAPE, octet ^ INVERT))
        else:
            escaped.append(octet)
    return bytes(escaped)


def frame(content: bytes) -> bytes:
    """Bytes on the line: a flag, content and check without flags in them, a flag."""
    flag = bytes((FLAG,))
    return flag + stuff(content + check(content)) + flag


class Deframer:
    """Finds the frames in bytes from the line; a damaged one is dropped, the next is found.

    Attributes
    ----------
    dropped : int
        Frames with a wrong check, or escaped as no frame is, so far.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._frame = bytearray()
        self._escaped = False

    def feed(self, octets: bytes) -> list[bytes]:
        """Take bytes; return the contents of the frames that end in them."""
        found = []
        for octet in octets:
            if octet == FLAG:
                content, sent = bytes(self._frame[:-CHECK]), bytes(self._frame[-CHECK:])
                if not self._escaped and content and check(content) == sent:
                    found.append(content)
                elif self._frame:
                    self.dropped += 1
                self._frame.clear()
                self._escaped = False
            elif octet == ESCAPE:
                self._escaped = True
            elif len(self._frame) < LONGEST + CHECK + 1:
                self._frame.append(octet ^ INVERT if self._escaped else octet)
                self._escaped = False
        return found
