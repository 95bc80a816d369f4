"""The host's side of a board's link: requests in a window, sent again until they are answered."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from hw.spec.link import (
    ANSWER_HEAD,
    WINDOW,
    Answer,
    Command,
    Deframer,
    Identity,
    Request,
    Status,
    frame,
)
from sw.errors import UserError

#: Seconds until a request is sent again: at first, and bounds of what is learned from answers.
_FIRST, _LEAST, _MOST = 0.25, 0.02, 4.0

_NUMBERS = 256


class Line(Protocol):
    """A serial line."""

    def write(self, octets: bytes) -> None:
        """Send bytes."""

    def read(self, timeout: float) -> bytes:
        """Return bytes that have come, or none after so many seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """A request without its number; see :class:`hw.spec.link.Request`."""

    command: Command
    address: int = 0
    count: int = 0
    payload: bytes = b""


@dataclasses.dataclass
class _Sent:
    """A request on its way."""

    octets: bytes
    when: float
    again: bool = False
    answer: Answer | None = None


class Session:
    """Numbered requests and their answers.

    Parameters
    ----------
    line : Line
        To the board.
    patience : float
        Seconds without any answer after which the board is given up.
    name : int, optional
        Of the session, 32 bits; random if absent, so that it differs from the one before.

    Attributes
    ----------
    identity : Identity
        What the board said of itself.
    resent : int
        Requests that were sent again.

    Raises
    ------
    UserError
        If nothing answers, or no link of this version.
    """

    def __init__(self, line: Line, *, patience: float = 3.0, name: int | None = None):
        self._line, self._patience = line, patience
        self._deframer = Deframer()
        self._wait, self._mean, self._spread = _FIRST, 0.0, 0.0
        self.resent = 0
        name = secrets.randbits(32) if name is None else name
        self._number = name % _NUMBERS
        try:
            (answer,) = self.call([Call(command=Command.HELLO, address=name)])
            self.identity = Identity.unpack(answer.payload)
        except ValueError as error:
            raise UserError(
                f"the board does not speak this driver's link: {error}; build its bitstream again"
            ) from None
        except TimeoutError:
            raise UserError(
                "nothing answers on the serial line: is the board powered, its bitstream loaded "
                "and built for this baud rate?"
            ) from None

    @property
    def dropped(self) -> int:
        """Damaged frames that have come."""
        return self._deframer.dropped

    def call(
        self, calls: Iterable[Call], *, progress: Callable[[int], None] | None = None
    ) -> list[Answer]:
        """Make requests; return their answers, of any status but GAP.

        Parameters
        ----------
        calls : iterable of Call
            Executed in order, each once.
        progress : callable, optional
            Is told how many have been answered.

        Raises
        ------
        TimeoutError
            If no answer comes for long.
        UserError
            If the board has forgotten the session: it was started anew.
        """
        waiting, done = iter(calls), False
        answers: list[Answer] = []
        window: deque[_Sent] = deque()
        last = time.monotonic()
        while True:
            while not done and len(window) < WINDOW:
                call = next(waiting, None)
                done = call is None
                if call is not None:
                    window.append(self._send(call))
            if not window:
                return answers
            for answer in self._receive(window):
                if self._settle(window, answer):
                    last = time.monotonic()
            while window and (found := window[0].answer) is not None:
                window.popleft()
                answers.append(found)
            if progress:
                progress(len(answers))
            if window and time.monotonic() - last > self._patience:
                raise TimeoutError(f"no answer came for {self._patience:g} seconds")

    def _send(self, call: Call) -> _Sent:
        request = Request(
            sequence=self._number,
            command=call.command,
            address=call.address,
            count=call.count,
            payload=call.payload,
        )
        self._number = (self._number + 1) % _NUMBERS
        octets = frame(request.pack())
        self._line.write(octets)
        return _Sent(octets, time.monotonic())

    def _receive(self, window: deque[_Sent]) -> list[Answer]:
        """Await bytes until the oldest request has to be sent again."""
        due = min(sent.when for sent in window if sent.answer is None) + self._wait
        octets = self._line.read(max(0.0, due - time.monotonic()))
        if not octets and time.monotonic() >= due:
            self._wait = min(2 * self._wait, _MOST)
            self._repeat(window)
        contents = self._deframer.feed(octets)
        return [Answer.unpack(content) for content in contents if len(content) >= ANSWER_HEAD]

    def _repeat(self, window: deque[_Sent]) -> None:
        """Send again what is not answered."""
        for sent in window:
            if sent.answer is None:
                self._line.write(sent.octets)
                sent.when, sent.again = time.monotonic(), True
                self.resent += 1

    def _settle(self, window: deque[_Sent], answer: Answer) -> bool:
        """Join an answer to its request; return whether it has one that had none."""
        first = self._number - len(window)
        place = (answer.sequence - first) % _NUMBERS
        if place >= len(window) or window[place].answer is not None:
            return False
        sent = window[place]
        if answer.status == Status.STRANGER:
            raise UserError("the board was started anew in the middle; run the command again")
        if answer.status == Status.GAP:
            # What is due was lost. It is sent again at once, but once only for all that follow it.
            due = (answer.payload[0] - first) % _NUMBERS if answer.payload else len(window)
            if due < len(window) and window[due].answer is None:
                lost = window[due]
                if time.monotonic() - lost.when > self._mean / 2:
                    self._repeat(window)
            return False
        if not sent.again:
            self._learn(time.monotonic() - sent.when)
        sent.answer = answer
        return True

    def _learn(self, seconds: float) -> None:
        """Follow the time that answers take (as RFC 6298)."""
        if self._mean == 0.0:
            self._mean, self._spread = seconds, seconds / 2
        else:
            self._spread += (abs(seconds - self._mean) - self._spread) / 4
            self._mean += (seconds - self._mean) / 8
        self._wait = min(max(self._mean + 4 * self._spread, _LEAST), _MOST)
