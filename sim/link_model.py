"""A board made of software: its link as ``docs/link.md`` says, in front of any transport."""

from __future__ import annotations

import numpy as np

from hw.spec import link
from hw.spec.link import Answer, Command, Deframer, Identity, Request, Status, frame
from sw.driver.transport import Transport

_CYCLES_PER_LOOK = 1000


class LinkModel:
    """Answers requests like a board.

    Parameters
    ----------
    transport : Transport
        The core, and its memory.
    memory : int
        Bytes of device memory.
    clock : int
        Frequency in Hz that it tells.

    Attributes
    ----------
    executed : int
        Requests that were executed.
    repeated : int
        Requests that were answered again.
    """

    def __init__(self, transport: Transport, *, memory: int, clock: int = 50_000_000):
        self._transport, self._memory, self._clock = transport, memory, clock
        self._deframer = Deframer()
        self._session: int | None = None
        self._due = 0
        self._kept: dict[int, Answer] = {}
        self._answers = b""
        self._cycles = 0
        self.executed = self.repeated = 0

    def push(self, octets: bytes) -> None:
        """Send bytes to the board."""
        for content in self._deframer.feed(octets):
            if link.REQUEST_HEAD <= len(content) <= link.LONGEST:
                answer = self._answer(Request.unpack(content))
                self._answers += frame(answer.pack())

    def run(self, cycles: int) -> bytes:
        """Let time pass; return the bytes that have come."""
        self._cycles += cycles
        octets, self._answers = self._answers, b""
        return octets

    def _answer(self, request: Request) -> Answer:
        number = request.sequence
        if request.command == Command.HELLO and not request.count and not request.payload:
            if self._session != request.address:
                self._session, self._due = request.address, (number + 1) % 256
            identity = Identity(session=request.address, clock=self._clock, memory=self._memory)
            return Answer(sequence=number, payload=identity.pack())
        if self._session is None:
            return Answer(sequence=number, status=Status.STRANGER)
        if number == self._due:
            self._due = (number + 1) % 256
            self.executed += 1
            self._kept[number % link.WINDOW] = answer = self._execute(request)
            return answer
        if (number - self._due) % 256 >= 256 - link.WINDOW and number % link.WINDOW in self._kept:
            self.repeated += 1
            return self._kept[number % link.WINDOW]
        return Answer(sequence=number, status=Status.GAP, payload=bytes((self._due,)))

    def _execute(self, request: Request) -> Answer:
        number, count, payload = request.sequence, request.count, request.payload
        command, address = request.command, request.address
        reads = command in (Command.READ_REGISTER, Command.READ_MEMORY)
        writes = command in (Command.WRITE_REGISTER, Command.WRITE_MEMORY)
        suits = not count if command == Command.CYCLES else 0 < count <= link.PAYLOAD
        if (
            not (reads or writes or command == Command.CYCLES)
            or not suits
            or count % link.WORD
            or (address % link.WORD and command != Command.CYCLES)
            or len(payload) != (count if writes else 0)
        ):
            return Answer(sequence=number, status=Status.MALFORMED)
        try:
            return Answer(sequence=number, payload=self._access(command, address, count, payload))
        except (KeyError, IndexError, ValueError):
            return Answer(sequence=number, status=Status.REFUSED)

    def _access(self, command: int, address: int, count: int, payload: bytes) -> bytes:
        match command:
            case Command.READ_REGISTER:
                words = [self._transport.read(address) for _ in range(count // link.WORD)]
                return np.array(words, "<u4").tobytes()
            case Command.WRITE_REGISTER:
                for word in np.frombuffer(payload, "<u4"):
                    self._transport.write(address, int(word))
                return b""
            case Command.CYCLES:
                self._cycles += _CYCLES_PER_LOOK
                return (self._cycles % (1 << 32)).to_bytes(link.WORD, "little")
        if address + count > self._memory:
            raise ValueError("beyond device memory")
        if command == Command.READ_MEMORY:
            return self._transport.dump(address, count).tobytes()
        self._transport.load(address, np.frombuffer(payload, np.uint8))
        return b""
