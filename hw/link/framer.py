"""Answers become bytes of a line."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from hw.spec.link import ANSWER_HEAD, CHECK, ESCAPE, FLAG, INVERT, PAYLOAD, WINDOW

#: Places of answers: one for each that may have to be sent again, one for HELLO, one for refusals.
HELLO_PLACE, REFUSAL_PLACE = WINDOW, WINDOW + 1
PLACES = WINDOW + 2


def answer_layout() -> data.StructLayout:
    """Return the layout of an answer's place and its length without the check."""
    return data.StructLayout({"place": range(PLACES), "length": range(ANSWER_HEAD + PAYLOAD + 1)})


class Framer(wiring.Component):
    """Sends answers: a flag, content and check with escapes, a flag.

    Members
    -------
    answers : In(stream)
        See :func:`answer_layout`; taken when its last byte has been.
    offset : Out
        Which byte of the answer is wanted.
    octet : In(8)
        That byte, a cycle later.
    octets : Out(stream)
        Bytes for the line.
    """

    def __init__(self):
        super().__init__(
            {
                "answers": In(stream.Signature(answer_layout())),
                "offset": Out(range(ANSWER_HEAD + PAYLOAD)),
                "octet": In(8),
                "octets": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        """Go through the bytes; each that is special takes two."""
        m = Module()
        m.submodules.crc = crc = catalog.CRC32_ISO_HDLC(8).create()
        sent = Signal(range(ANSWER_HEAD + PAYLOAD + CHECK + 1))
        length = self.answers.p.length
        octet, octets = Signal(8), self.octets
        check = Signal(8 * CHECK)
        special = (octet == FLAG) | (octet == ESCAPE)
        checking = sent >= length
        m.d.comb += [self.offset.eq(sent), crc.data.eq(self.octet)]

        with m.FSM():
            with m.State("idle"):
                m.d.sync += sent.eq(0)
                m.d.comb += [
                    crc.start.eq(1),
                    octets.payload.eq(FLAG),
                    octets.valid.eq(self.answers.valid),
                ]
                with m.If(octets.valid & octets.ready):
                    m.next = "read"

            with m.State("read"):  # the memory has the offset now, its byte in the next cycle
                with m.If(sent == length):
                    m.d.sync += check.eq(crc.crc)
                m.next = "take"

            with m.State("take"):
                m.d.sync += [
                    octet.eq(Mux(checking, check[:8], self.octet)),
                    check.eq(Mux(checking, check >> 8, check)),
                ]
                m.d.comb += crc.valid.eq(~checking)
                m.next = "send"

            with m.State("send"):
                m.d.comb += [
                    octets.payload.eq(Mux(special, ESCAPE, octet)),
                    octets.valid.eq(1),
                ]
                with m.If(octets.ready):
                    m.d.sync += sent.eq(sent + 1)
                    with m.If(special):
                        m.next = "inverted"
                    with m.Elif(sent == length + CHECK - 1):
                        m.next = "end"
                    with m.Else():
                        m.next = "read"

            with m.State("inverted"):
                m.d.comb += [octets.payload.eq(octet ^ INVERT), octets.valid.eq(1)]
                with m.If(octets.ready):
                    with m.If(sent == length + CHECK):
                        m.next = "end"
                    with m.Else():
                        m.next = "read"

            with m.State("end"):
                m.d.comb += [octets.payload.eq(FLAG), octets.valid.eq(1)]
                with m.If(octets.ready):
                    m.d.comb += self.answers.ready.eq(1)
                    m.next = "idle"
        return m
