"""Addresses of an operand's words, in the order in which outputs are drained."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.vector.memory import ADDRESS_BITS


class OutputAddress(wiring.Component):
    """Tells the word ``first + w * stride + i`` for output i of vector w, without a multiplier.

    Outputs come as :class:`hw.sequence.output_reader.OutputReader` hands them on.

    Members
    -------
    start : In(1)
        Go to the first output.
    first, stride : In(16)
        Word of the first output, and words from one vector's to those of the next; stable from
        ``start`` on.
    step : In(1)
        Go to the next output.
    ends_segment, ends_tile : In(1)
        This one is the last of its segment, and of its tile.
    address : Out(16)
        Its word, from the cycle after ``start`` or ``step`` on.
    """

    start: In(1)
    first: In(ADDRESS_BITS)
    stride: In(ADDRESS_BITS)
    step: In(1)
    ends_segment: In(1)
    ends_tile: In(1)
    address: Out(ADDRESS_BITS)

    def elaborate(self, platform):
        """Keep where the segment begins, and where the first vector will go on."""
        m = Module()
        segment, tile = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        of_first_vector = Signal()
        following, below = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        next_tile = Mux(of_first_vector, following, tile)
        m.d.comb += [following.eq(self.address + 1), below.eq(segment + self.stride)]
        with m.If(self.step):
            m.d.sync += [self.address.eq(following), tile.eq(next_tile)]
            with m.If(self.ends_tile):
                m.d.sync += [
                    self.address.eq(next_tile),
                    segment.eq(next_tile),
                    of_first_vector.eq(1),
                ]
            with m.Elif(self.ends_segment):
                m.d.sync += [self.address.eq(below), segment.eq(below), of_first_vector.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                self.address.eq(self.first),
                segment.eq(self.first),
                of_first_vector.eq(1),
            ]
        return m
