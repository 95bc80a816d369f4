"""Requests out of the bytes of a line: only what arrived whole is passed on."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from hw.spec.link import CHECK, ESCAPE, FLAG, INVERT, LONGEST, REQUEST_HEAD

#: Requests that are kept until they have been executed, and bytes of the place of each.
PLACES = 4
PLACE = 256


def request_layout() -> data.StructLayout:
    """Return the layout of a request's place and its length without the check."""
    return data.StructLayout({"place": range(PLACES), "length": range(LONGEST + 1)})


class Deframer(wiring.Component):
    """Undoes escapes, checks, and keeps a request until it has been executed.

    A frame that is damaged, too short or too long, or for which there is no place, is dropped: the
    host sends it again.

    Members
    -------
    octets : In(stream)
        Bytes of the line; always ready.
    requests : Out(stream)
        See :func:`request_layout`. Its bytes stay where they are until it is taken.
    place, offset : In
        Which byte of a request is read.
    octet : Out(8)
        That byte, a cycle later.
    """

    def __init__(self):
        super().__init__(
            {
                "octets": In(stream.Signature(8, always_ready=True)),
                "requests": Out(stream.Signature(request_layout())),
                "place": In(range(PLACES)),
                "offset": In(range(PLACE)),
                "octet": Out(8),
            }
        )

    def elaborate(self, platform):
        """Write into the place that is next; at a flag, keep it or begin anew."""
        m = Module()
        m.submodules.kept = kept = memory.Memory(shape=8, depth=PLACES * PLACE, init=[])
        m.submodules.crc = crc = catalog.CRC32_ISO_HDLC(8).create()
        write, read = kept.write_port(), kept.read_port()
        lengths = Signal(data.ArrayLayout(range(LONGEST + 1), PLACES))
        filled, taken = Signal(range(PLACES)), Signal(range(PLACES))
        waiting = Signal(range(PLACES + 1))
        length = Signal(range(LONGEST + CHECK + 2))
        escaped, damaged = Signal(), Signal()

        octet, arrives = self.octets.payload, self.octets.valid
        flag, escape = octet == FLAG, octet == ESCAPE
        whole = Signal()
        arrived = Signal()
        m.d.comb += [
            read.addr.eq(Cat(self.offset, self.place)),
            self.octet.eq(read.data),
            write.addr.eq(Cat(length[:8], filled)),
            write.data.eq(crc.data),
            write.en.eq(arrives & ~flag & ~escape & (length < PLACE)),
            crc.data.eq(Mux(escaped, octet ^ INVERT, octet)),
            crc.valid.eq(arrives & ~flag & ~escape),
            crc.start.eq(arrives & flag),
            whole.eq(
                crc.match_detected
                & ~escaped
                & ~damaged
                & (length >= REQUEST_HEAD + CHECK)
                & (length <= LONGEST + CHECK)
            ),
            arrived.eq(arrives & flag & whole & (waiting != PLACES)),
            self.requests.valid.eq(waiting != 0),
            self.requests.p.place.eq(taken),
            self.requests.p.length.eq(lengths[taken]),
        ]
        with m.If(arrives):
            m.d.sync += escaped.eq(escape)
            with m.If(flag):
                m.d.sync += [length.eq(0), damaged.eq(0)]
            with m.Elif(~escape & (length != LONGEST + CHECK + 1)):
                m.d.sync += length.eq(length + 1)
            # What is written while all places are kept would fall into one of them.
            with m.If((waiting == PLACES) & ~flag):
                m.d.comb += write.en.eq(0)
                m.d.sync += damaged.eq(1)
        with m.If(arrived):
            m.d.sync += [lengths[filled].eq(length - CHECK), filled.eq(filled + 1)]
        leaves = self.requests.valid & self.requests.ready
        with m.If(leaves):
            m.d.sync += taken.eq(taken + 1)
        m.d.sync += waiting.eq(waiting + arrived - leaves)
        return m
