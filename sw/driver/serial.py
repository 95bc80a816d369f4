"""Transport to a board on a serial line."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import serial
from serial.tools import list_ports

from hw.spec.link import PAYLOAD, Answer, Command, Status
from hw.spec.link import WORD as OCTETS
from sw.driver.session import Call, Line, Session
from sw.driver.transport import Transport
from sw.errors import UserError

#: Bits of the line in a second, as boards are built if nothing else is said.
BAUD = 1_000_000

#: Told how many of how many bytes of device memory are written.
Progress = Callable[[int, int], None]

_CYCLES = 1 << 32

#: Writes that wait for an access with an answer.
_MOST_POSTED = 64

#: Seconds that the port awaits a byte: to set another time for each read would set it up anew.
_LOOK = 0.01


def ports() -> list[str]:
    """List the serial ports of this machine."""
    return sorted(port.device for port in list_ports.comports())


def show_progress(done: int, total: int) -> None:
    """Show people how much of a model has been loaded."""
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"loading the model: {done / total:4.0%}", end=end, file=sys.stderr, flush=True)


class ClosableLine(Line, Protocol):
    """A line with an end.

    Attributes
    ----------
    port : str
        Its name, for people.
    """

    port: str

    def close(self) -> None:
        """Release it."""


class SerialLine:
    """A serial port.

    Parameters
    ----------
    port : str
        Its device, or a URL that pyserial knows.
    baud : int
        Bits in a second.

    Raises
    ------
    UserError
        If there is no such port, or it may not be used; later, if it vanishes.
    """

    def __init__(self, port: str, baud: int = BAUD):
        self.port = port
        try:
            self._serial = serial.serial_for_url(port, baud, timeout=_LOOK, exclusive=True)
            self._serial.reset_input_buffer()
        except (serial.SerialException, OSError, ValueError) as error:
            raise UserError(_refusal(port, error)) from None

    def write(self, octets: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(octets)
        except (serial.SerialException, OSError) as error:
            raise self._broken(error) from None

    def read(self, timeout: float) -> bytes:
        """Return bytes that have come, or none after so many seconds."""
        try:
            until = time.monotonic() + timeout
            while not (first := self._serial.read(1)) and time.monotonic() < until:
                pass
            return first + self._serial.read(self._serial.in_waiting) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Release the port."""
        self._serial.close()

    def _broken(self, error: Exception) -> UserError:
        return UserError(
            f"the serial line {self.port} broke off ({_short(error)}); plug the board in and run "
            "the command again"
        )


class SerialTransport(Transport):
    """Reaches a board's core and device memory over its serial line (``docs/link.md``).

    Writes to registers leave with the next access that has an answer: a round trip over USB takes
    longer than a token.

    Parameters
    ----------
    port : str
        Serial port, e.g. /dev/ttyUSB0 or COM3.
    baud : int
        Bits in a second, as the bitstream was built.
    patience : float
        Seconds without any answer after which the board is given up.
    progress : callable, optional
        Follows the loading of device memory.

    Attributes
    ----------
    clock : int
        Frequency of the core in Hz, as the board tells.
    session : Session
        Counts what was sent again, and what came damaged.

    Raises
    ------
    UserError
        If there is no such port, or no board of this kind answers.
    """

    def __init__(
        self,
        port: str,
        *,
        baud: int = BAUD,
        patience: float = 3.0,
        progress: Progress | None = None,
    ):
        line = SerialLine(port, baud)
        try:
            self._begin(line, Session(line, patience=patience), progress)
        except BaseException:
            line.close()
            raise

    @classmethod
    def over(cls, line: ClosableLine, session: Session) -> SerialTransport:
        """Reach a board over a line of any kind, on which a session has begun."""
        transport = cls.__new__(cls)
        transport._begin(line, session, None)
        return transport

    def _begin(self, line: ClosableLine, session: Session, progress: Progress | None) -> None:
        self._line, self.session, self._progress = line, session, progress
        self._posted: list[Call] = []
        self.clock = session.identity.clock

    def write_window(self, address: int, words: np.ndarray) -> None:
        """Write all words to the same address, in order.

        Raises
        ------
        UserError
            If the board does not answer; if the core refuses a word, the next access says so.
        """
        octets = np.ascontiguousarray(words, "<u4").tobytes()
        self._posted += [
            Call(command=Command.WRITE_REGISTER, address=address, count=len(part), payload=part)
            for part in _parts(octets)
        ]
        if len(self._posted) > _MOST_POSTED:
            self._call([], "a write")

    def read_all(self, addresses: Sequence[int]) -> list[int]:
        """Read several registers, in order, without a round trip for each."""
        calls = [
            Call(command=Command.READ_REGISTER, address=address, count=OCTETS)
            for address in addresses
        ]
        return _join(self._call(calls, "a read")).view("<u4").tolist()

    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read the same address ``count`` times; errors as :meth:`write_window`."""
        answers = self._call(
            [
                Call(command=Command.READ_REGISTER, address=address, count=size)
                for _, size in _pieces(OCTETS * count)
            ],
            f"a read of register {address:#04x}",
        )
        return _join(answers).view("<u4").astype(np.uint32)

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Poll a register until ``register & mask == value``.

        Raises
        ------
        TimeoutError
            If that has not happened after ``max_cycles`` clock cycles of the board.
        """
        polls = [
            Call(command=Command.READ_REGISTER, address=address, count=OCTETS),
            Call(command=Command.CYCLES),
        ]
        passed, before = 0, None
        while True:
            register, now = _join(self._call(polls, f"a read of register {address:#04x}")).view(
                "<u4"
            )
            if int(register) & mask == value:
                return
            if before is not None:
                passed += (int(now) - before) % _CYCLES
            before = int(now)
            if passed > max_cycles:
                raise TimeoutError(
                    f"register {address:#04x} did not become {value:#x} (mask {mask:#x}) within "
                    f"{max_cycles} cycles"
                )

    def load(self, address: int, octets: np.ndarray) -> None:
        """Write whole words of device memory from an address on; both multiples of 4.

        Raises
        ------
        UserError
            If device memory ends before, or the board does not answer.
        """
        content = np.ascontiguousarray(octets).view(np.uint8).tobytes()
        _check_words(address, len(content))
        self._check_inside(address, len(content))

        def calls() -> Iterator[Call]:
            for start, part in enumerate(_parts(content)):
                yield Call(
                    command=Command.WRITE_MEMORY,
                    address=address + start * PAYLOAD,
                    count=len(part),
                    payload=part,
                )

        def follow(done: int) -> None:
            if self._progress:
                self._progress(min(done * PAYLOAD, len(content)), len(content))

        self._call(calls(), f"a write to device memory at {address:#x}", progress=follow)

    def dump(self, address: int, count: int) -> np.ndarray:
        """Read whole words of device memory, uint8; errors as :meth:`load`."""
        _check_words(address, count)
        self._check_inside(address, count)
        calls = [
            Call(command=Command.READ_MEMORY, address=address + start, count=size)
            for start, size in _pieces(count)
        ]
        return _join(self._call(calls, f"a read of device memory at {address:#x}"))

    @property
    def cycles(self) -> int:
        """Nothing is simulated: 0."""
        return 0

    def tick(self, count: int) -> None:
        """Await so many cycles of the board's clock."""
        time.sleep(count / self.clock)

    def close(self) -> None:
        """Release the port; what was posted and has not left is lost."""
        self._line.close()

    def _call(
        self, calls: Iterable[Call], what: str, *, progress: Callable[[int], None] | None = None
    ) -> list[Answer]:
        """Make requests behind what was posted; return their answers."""
        posted, self._posted = self._posted, []
        try:
            answers = self.session.call(itertools.chain(posted, calls), progress=progress)
        except TimeoutError:
            raise UserError(
                f"the board on {self._line.port} stopped answering; reset it and run the command "
                "again"
            ) from None
        for index, answer in enumerate(answers):
            if answer.status != Status.OKAY:
                why = Status(answer.status).name.lower()
                if index < len(posted):
                    what = f"a write to register {posted[index].address:#04x}"
                raise UserError(f"the board refused {what} ({why})")
        return answers[len(posted) :]

    def _check_inside(self, address: int, count: int) -> None:
        size = self.session.identity.memory
        if address + count > size:
            raise UserError(
                f"the board has {size} bytes of device memory, {address + count} are needed; "
                "shorten the context or choose another board"
            )


def _parts(octets: bytes) -> list[bytes]:
    return [octets[start : start + size] for start, size in _pieces(len(octets))]


def _pieces(count: int) -> list[tuple[int, int]]:
    """First byte and bytes of each request."""
    return [(start, min(PAYLOAD, count - start)) for start in range(0, count, PAYLOAD)]


def _join(answers: list[Answer]) -> np.ndarray:
    return np.frombuffer(b"".join(answer.payload for answer in answers), np.uint8)


def _check_words(address: int, count: int) -> None:
    if address % OCTETS or count % OCTETS:
        raise ValueError(
            f"a board's memory is reached in words of {OCTETS} bytes, not {count} bytes from "
            f"address {address}"
        )


def _refusal(port: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == 2:
        return f"there is no serial port {port}; plug the board in, or name another with --port"
    if number == 13:
        return f"the serial port {port} may not be used by you; join the group that owns it"
    return f"the serial port {port} cannot be opened ({_short(error)}); name another with --port"


def _short(error: Exception) -> str:
    return str(error).split(":")[0].strip() or type(error).__name__
