"""Executes the requests of the host link, each once, and keeps their answers."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from hw.bus.window import WORD
from hw.link import deframer
from hw.link.access import AccessSignature
from hw.link.deframer import request_layout
from hw.link.framer import HELLO_PLACE, PLACES, REFUSAL_PLACE, answer_layout
from hw.spec import link
from hw.spec.link import ANSWER_HEAD, REQUEST_HEAD, WINDOW, Command, Status

_OCTETS = link.WORD


def head_layout() -> data.StructLayout:
    """Return the layout of a request's head."""
    return data.StructLayout({"sequence": 8, "command": 8, "address": WORD, "count": 16})


class Executor(wiring.Component):
    """Does what requests ask for, in the order of their numbers.

    A request that was executed before is answered as it was then, and not executed again. An
    answer stays in its place until it has been sent.

    Parameters
    ----------
    clock : int
        Frequency in Hz, to tell the host.
    memory : int
        Bytes of device memory, to tell the host.

    Members
    -------
    requests : In(stream)
        See :func:`hw.link.deframer.request_layout`.
    place, offset, octet : Out, Out, In(8)
        Read port of the requests' bytes, with a latency of a cycle.
    answers : Out(stream)
        See :func:`hw.link.framer.answer_layout`.
    answer_offset, answer_octet : In, Out(8)
        Read port of the bytes of the answer that is offered, with a latency of a cycle.
    registers, device : Out(AccessSignature)
        Registers of the core, and device memory.
    executed : Out(1)
        A request was executed; pulses.
    """

    def __init__(self, *, clock: int, memory: int):
        self._identity = clock, memory
        super().__init__(
            {
                "requests": In(stream.Signature(request_layout())),
                "place": Out(range(deframer.PLACES)),
                "offset": Out(range(deframer.PLACE)),
                "octet": In(8),
                "answers": Out(stream.Signature(answer_layout())),
                "answer_offset": In(range(ANSWER_HEAD + link.PAYLOAD)),
                "answer_octet": Out(8),
                "registers": Out(AccessSignature()),
                "device": Out(AccessSignature()),
                "executed": Out(1),
            }
        )

    def elaborate(self, platform):
        """Read a head; judge it; make its accesses; leave the answer to be sent."""
        m = Module()
        m.submodules.kept = kept = memory.Memory(shape=8, depth=PLACES * 256, init=[])
        store, load = kept.write_port(), kept.read_port()
        pending = Signal(PLACES)  # answers that wait to be sent
        place, position = Signal(range(PLACES)), Signal(range(256))
        lengths = Signal(data.ArrayLayout(len(self.answers.p.length), PLACES))
        send = Signal()
        self._queue(m, pending, lengths, place, send)
        m.d.comb += [
            load.addr.eq(self.answers.p.place << 8 | self.answer_offset),
            self.answer_octet.eq(load.data),
            store.addr.eq(place << 8 | position),
        ]
        head, word = Signal(head_layout()), Signal(WORD)
        cycles = Signal(WORD)
        m.d.sync += cycles.eq(cycles + 1)

        # Bytes of the request that come one after the other.
        wanted, arriving = Signal(range(REQUEST_HEAD + 1)), Signal()
        m.d.comb += self.place.eq(self.requests.p.place)
        m.d.sync += arriving.eq(wanted != 0)
        with m.If(wanted != 0):
            m.d.sync += [wanted.eq(wanted - 1), self.offset.eq(self.offset + 1)]
        with m.If(arriving):
            m.d.sync += word.eq(Cat(word[8:], self.octet))
        arrived = (wanted == 0) & ~arriving

        joined, session, expected = Signal(), Signal(WORD), Signal(8)
        status, left = Signal(Status), Signal(range(link.PAYLOAD // _OCTETS + 1))
        address, written = Signal(WORD), Signal(2)
        command, distance = head.command, Signal(8)
        hello = command == Command.HELLO
        reads = (command == Command.READ_REGISTER) | (command == Command.READ_MEMORY)
        writes = (command == Command.WRITE_REGISTER) | (command == Command.WRITE_MEMORY)
        in_memory = (command == Command.READ_MEMORY) | (command == Command.WRITE_MEMORY)
        told = (command == Command.CYCLES) | hello
        payload = self.requests.p.length - REQUEST_HEAD
        suits = (
            (reads & (payload == 0) | writes & (payload == head.count))
            & (head.count != 0)
            & (head.count[:2] == 0)
            & (head.count <= link.PAYLOAD)
            & (head.address[:2] == 0)
        ) | (told & (payload == 0) & (head.count == 0))
        m.d.comb += distance.eq(head.sequence - expected)
        due = joined & (distance == 0)

        ports = (self.registers, self.device)
        accessing = Signal()
        for number, port in enumerate(ports):
            m.d.comb += [
                port.valid.eq(accessing & (in_memory == number)),
                port.write.eq(writes),
                port.address.eq(address),
                port.data.eq(word),
            ]
        answered, refused, answer, ready = (
            Mux(in_memory, getattr(self.device, name), getattr(self.registers, name))
            for name in ("answered", "refused", "answer", "ready")
        )
        clock, size = self._identity
        identity = Array(
            (
                Const(link.MAGIC, WORD),
                session,
                Const(link.VERSION | WINDOW << 8 | link.PAYLOAD << 16, WORD),
                Const(clock, WORD),
                Const(size, WORD),
            )
        )

        with m.FSM():
            with m.State("idle"):
                m.d.sync += self.offset.eq(0)
                with m.If(self.requests.valid):
                    m.d.sync += wanted.eq(REQUEST_HEAD)
                    m.next = "head"

            with m.State("head"):
                with m.If(arriving):
                    m.d.sync += head.eq(Cat(head.as_value()[8:], self.octet))
                with m.If(arrived):
                    m.next = "judge"

            with m.State("judge"):
                m.d.sync += [
                    address.eq(head.address),
                    position.eq(ANSWER_HEAD),
                    left.eq(head.count // _OCTETS),
                    place.eq(head.sequence % WINDOW),
                    status.eq(Mux(suits, Status.OKAY, Status.MALFORMED)),
                ]
                m.next = "free"
                with m.If(hello & suits):
                    m.d.sync += [place.eq(HELLO_PLACE), left.eq(len(identity))]
                    with m.If(~joined | (session != head.address)):
                        m.d.sync += [
                            joined.eq(1),
                            session.eq(head.address),
                            expected.eq(head.sequence + 1),
                        ]
                with m.Elif(due):
                    m.d.sync += expected.eq(expected + 1)
                    with m.If(told):
                        m.d.sync += left.eq(1)
                with m.Elif(joined & (distance >= 256 - WINDOW)):
                    m.next = "again"
                with m.Else():
                    m.d.sync += [
                        place.eq(REFUSAL_PLACE),
                        status.eq(Mux(joined, Status.GAP, Status.STRANGER)),
                    ]

            with m.State("again"):
                m.d.comb += [
                    send.eq(~pending.bit_select(place, 1)),
                    self.requests.ready.eq(1),
                ]
                m.next = "idle"

            with m.State("free"):
                with m.If(~pending.bit_select(place, 1)):
                    with m.If(status == Status.GAP):
                        m.next = "gap"
                    with m.Elif(status != Status.OKAY):
                        m.next = "number"
                    with m.Elif(told):
                        m.next = "tell"
                    with m.Elif(writes):
                        m.next = "gather"
                    with m.Else():
                        m.next = "access"

            with m.State("gap"):
                m.d.comb += [store.en.eq(1), store.data.eq(expected)]
                m.d.sync += position.eq(position + 1)
                m.next = "number"

            with m.State("gather"):
                m.d.sync += wanted.eq(_OCTETS)
                m.next = "gathered"

            with m.State("gathered"):
                with m.If(arrived):
                    m.next = "access"

            with m.State("access"):
                m.d.comb += accessing.eq(1)
                with m.If(ready):
                    m.next = "await"

            with m.State("await"):
                with m.If(answered):
                    with m.If(in_memory):
                        m.d.sync += address.eq(address + _OCTETS)
                    with m.If(refused):
                        m.d.sync += [status.eq(Status.REFUSED), position.eq(ANSWER_HEAD)]
                        m.next = "number"
                    with m.Elif(reads):
                        m.d.sync += word.eq(answer)
                        m.next = "spread"
                    with m.Else():
                        m.d.sync += left.eq(left - 1)
                        with m.If(left == 1):
                            m.next = "number"
                        with m.Else():
                            m.next = "gather"

            with m.State("tell"):
                m.d.sync += word.eq(Mux(hello, identity[len(identity) - left], cycles))
                m.next = "spread"

            with m.State("spread"):
                m.d.comb += [store.en.eq(1), store.data.eq(word[:8])]
                m.d.sync += [
                    word.eq(word >> 8),
                    position.eq(position + 1),
                    written.eq(written + 1),
                ]
                with m.If(written == _OCTETS - 1):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "number"
                    with m.Elif(told):
                        m.next = "tell"
                    with m.Else():
                        m.next = "access"

            with m.State("number"):
                m.d.comb += [
                    store.en.eq(1),
                    store.addr.eq(place << 8),
                    store.data.eq(head.sequence),
                ]
                m.d.sync += lengths[place].eq(position)
                m.next = "status"

            with m.State("status"):
                m.d.comb += [
                    store.en.eq(1),
                    store.addr.eq(place << 8 | 1),
                    store.data.eq(status),
                    send.eq(1),
                    self.executed.eq(1),
                    self.requests.ready.eq(1),
                ]
                m.next = "idle"
        return m

    def _queue(self, m, pending, lengths, place, send):
        """Queue the places of answers that are to be sent."""
        m.submodules.queue = queue = SyncFIFO(width=len(place), depth=PLACES)
        m.d.comb += [
            queue.w_en.eq(send),
            queue.w_data.eq(place),
            queue.r_en.eq(self.answers.ready),
            self.answers.valid.eq(queue.r_rdy),
            self.answers.p.place.eq(queue.r_data),
            self.answers.p.length.eq(lengths[queue.r_data]),
        ]
        with m.If(self.answers.valid & self.answers.ready):
            m.d.sync += pending.bit_select(queue.r_data, 1).eq(0)
        with m.If(send):
            m.d.sync += pending.bit_select(place, 1).eq(1)
