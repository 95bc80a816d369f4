"""Controller: encodes vectors and multiplies matrices, from start to done."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.cycles import CHECK
from hw.spec.registers import Error


class Controller(wiring.Component):
    """Checks what is to be encoded or multiplied, begins it, and tells when it has ended.

    Both may run at once. Where they begin together, the tile engine's first replay chases the
    encoder.

    Members
    -------
    encode, start : In(1)
        Encode a vector; multiply; pulse. Refused if the same still runs, or within ``CHECK`` cycles
        of each other.
    tiles : In(16)
        Tiles to multiply.
    refused : In(8)
        Result of the check of what ``checks_product`` says.
    checks_product : Out(1)
        What is checked, is what is to be multiplied, else to be encoded.
    draining : In(1)
        Memory still answers what was stopped; nothing may start.
    stored : In(1)
        The encoder has ended: low from the cycle after ``begin_encode`` on.
    tile_done : In(1)
        The outputs of a tile have been written, for all vectors.
    begin_encode, begin_product : Out(1)
        Start encoder, and tile engine; pulse.
    encoded, multiplied : Out(1)
        Nothing is being encoded; nothing multiplied.
    busy, done : Out(1)
        Bits of the status register: something runs; all that ran has ended well.
    error : Out(8)
        Why the last start was refused.
    encode_refused : Out(1)
        That was one to encode only.
    beside : In(1)
        One may be asked for beside the other, and only multiplications count in ``cycles``.
    cycles : Out(32)
        Clock cycles of what runs so far, or of what ran last.
    """

    def __init__(self):
        super().__init__(
            {
                **dict.fromkeys(("encode", "start"), In(1)),
                "tiles": In(16),
                "refused": In(8),
                "checks_product": Out(1),
                **dict.fromkeys(("draining", "stored", "tile_done"), In(1)),
                **dict.fromkeys(("begin_encode", "begin_product"), Out(1)),
                **dict.fromkeys(("encoded", "multiplied"), Out(1, init=1)),
                **dict.fromkeys(("busy", "done"), Out(1)),
                "error": Out(8),
                "encode_refused": Out(1),
                "beside": In(1),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        """Check; begin; await the ends; count the cycles."""
        m = Module()
        checking, wait = Signal(), Signal(range(CHECK))
        product, tiles = self.checks_product, Signal(16)
        asked = self.encode | self.start
        runs = (self.encode & ~self.encoded) | (self.start & ~self.multiplied)
        runs |= self.busy & ~self.beside
        taken = asked & ~checking & ~runs & ~self.draining
        m.d.comb += self.busy.eq(~self.encoded | ~self.multiplied)
        m.d.sync += [self.begin_encode.eq(0), self.begin_product.eq(0)]

        stored = ~self.encoded & ~checking & ~self.begin_encode & self.stored
        multiplied = self.tile_done & (tiles == 1) & ~self.multiplied
        with m.If(stored):
            m.d.sync += self.encoded.eq(1)
        with m.If(~self.multiplied & self.tile_done):
            m.d.sync += [tiles.eq(tiles - 1), self.multiplied.eq(multiplied)]
        with m.If((stored | multiplied) & (self.encoded | stored) & (self.multiplied | multiplied)):
            m.d.sync += self.done.eq(1)

        counts = ~self.multiplied | (~self.encoded & ~self.beside)
        m.d.sync += self.cycles.eq(self.cycles + counts)
        self._check(m, checking, wait, product, tiles)
        with m.If(taken):
            m.d.sync += [
                checking.eq(1),
                wait.eq(CHECK - 1),
                product.eq(self.start),
                self.done.eq(0),
                self.error.eq(Error.NONE),
            ]
            with m.If(self.encode):
                m.d.sync += self.encoded.eq(0)
            with m.If(self.start):
                m.d.sync += self.multiplied.eq(0)
            with m.If(self.start | ~self.beside):
                m.d.sync += self.cycles.eq(0)
        with m.Elif(asked):
            m.d.sync += self.error.eq(Error.BUSY)
        return m

    def _check(self, m, checking, wait, product, tiles):
        """Await the check of what was asked for."""
        encodes = Signal()  # also, or only
        with m.If(~checking):
            m.d.sync += encodes.eq(self.encode)
        with m.Else():
            m.d.sync += wait.eq(wait - 1)
            with m.If(product):
                m.d.sync += tiles.eq(self.tiles)
            with m.If(wait == 0):
                m.d.sync += checking.eq(0)
                with m.If(self.refused == Error.NONE):
                    m.d.sync += [self.begin_encode.eq(encodes), self.begin_product.eq(product)]
                with m.Else():
                    m.d.sync += [self.error.eq(self.refused), self.encode_refused.eq(~product)]
                    with m.If(encodes):
                        m.d.sync += self.encoded.eq(1)
                    with m.If(product):
                        m.d.sync += self.multiplied.eq(1)
