"""The host's side of the link, over lines that fail in chosen ways."""

import pytest

from hw.spec.link import WINDOW, Answer, Command, Deframer, Request, Status, frame
from sim.link_model import LinkModel
from sw.driver.session import Call, Session
from sw.driver.transport import Transport
from sw.errors import UserError


class Counter(Transport):
    """A core whose registers all count their reads."""

    def __init__(self):
        self.reads = 0

    def read(self, address):
        self.reads += 1
        return self.reads

    write_window = read_window = wait = load = dump = tick = close = cycles = None


class Line:
    """A line to a board made of software; ``lose`` decides what does not arrive.

    It is asked with ("sent" or "heard", number of the frame).
    """

    def __init__(self, lose=lambda way, number: False):
        self.core = Counter()
        self.model = LinkModel(self.core, memory=64)
        self._lose, self.frames = lose, {"sent": 0, "heard": 0}
        self.most = 0
        self._deframer = Deframer()

    def _passes(self, way, octets):
        passed = b""
        for content in Deframer().feed(octets):
            number = self.frames[way]
            self.frames[way] += 1
            passed += b"" if self._lose(way, number) else frame(content)
        return passed

    def write(self, octets):
        self.model.push(self._passes("sent", octets))

    def read(self, timeout):
        return self._passes("heard", self.model.run(0))


READ = Call(command=Command.READ_REGISTER, address=4, count=4)


def words(answers):
    return [int.from_bytes(answer.payload, "little") for answer in answers]


@pytest.mark.parametrize("way", ["sent", "heard"])
@pytest.mark.parametrize("which", [{1}, {3, 4}, set(range(2, 2 + WINDOW)), set(range(2, 60, 3))])
def test_losses(way, which):
    """Each read is executed once, and in order, whatever is lost."""
    line = Line(lambda where, number: where == way and number in which)
    session = Session(line, patience=30)
    assert words(session.call([READ] * 30)) == list(range(1, 31))
    assert line.core.reads == 30 and session.resent


def test_numbers_wrap():
    line = Line()
    session = Session(line)
    assert words(session.call([READ] * 600)) == list(range(1, 601))
    assert session.resent == 0


def test_a_lost_greeting():
    line = Line(lambda way, number: (way, number) in {("sent", 0), ("heard", 0)})
    assert Session(line).identity.memory == 64


def test_sessions_follow_each_other():
    line = Line()
    for _ in range(3):
        assert len(Session(line).call([READ] * 5)) == 5
    assert line.core.reads == 15


def test_refusals_come_back():
    session = Session(Line())
    beyond = Call(command=Command.READ_MEMORY, address=64, count=4)
    wrong = Call(command=Command.READ_REGISTER, address=2, count=4)
    statuses = [answer.status for answer in session.call([beyond, wrong, READ])]
    assert statuses == [Status.REFUSED, Status.MALFORMED, Status.OKAY]


def test_the_window_is_kept():
    """Never are more requests unanswered than the board can keep answers for."""
    waiting = []

    class Slow(Line):
        def write(self, octets):
            waiting.extend(Request.unpack(c).sequence for c in Deframer().feed(octets))
            assert len(set(waiting)) <= WINDOW
            super().write(octets)

        def read(self, timeout):
            octets = super().read(timeout)
            for content in Deframer().feed(octets):
                answered = Answer.unpack(content).sequence
                waiting[:] = [number for number in waiting if number != answered]
            return octets

    Session(Slow()).call([READ] * 40)


def test_silence():
    line = Line()
    session = Session(line, patience=0.1)
    line.model.push = lambda octets: None
    with pytest.raises(TimeoutError, match="no answer came for 0.1 seconds"):
        session.call([READ])
    with pytest.raises(UserError, match="nothing answers on the serial line"):
        Session(line, patience=0.1)


def test_progress():
    seen = []
    Session(Line()).call([READ] * 20, progress=seen.append)
    assert seen[-1] == 20 and sorted(seen) == seen
