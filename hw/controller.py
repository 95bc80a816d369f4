"""Controller: runs one matrix-vector instruction from start to done."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.cycles import CHECK
from hw.spec.registers import Error


class Controller(wiring.Component):
    """Check, encode and integrate all tiles, done.

    Both begin together: the tile engine's first replay chases the encoder. Of a batch, all vectors
    but the last are encoded alone.

    Parameters
    ----------
    batch : int
        Most vectors of an instruction.

    Attributes
    ----------
    start : In(1)
        The host's command.
    tiles : In(16)
        Tiles of the instruction.
    encode, encoded : In(1)
        The vector is only encoded; it has been. Only where ``batch`` is above 1.
    refused : In(8)
        Result of the instruction check.
    draining : In(1)
        Memory still answers an instruction that was stopped; none may start.
    tile_done : In(1)
        The outputs of a tile have been written, for all vectors.
    launch : Out(1)
        Starts encoder and tile engine; pulses.
    busy, done : Out(1)
        Bits of the status register.
    error : Out(8)
        Why the last start was refused.
    cycles : Out(32)
        Clock cycles of the instruction so far.
    """

    def __init__(self, *, batch: int = 1):
        self._batch = batch
        super().__init__(
            {
                **(dict.fromkeys(("encode", "encoded"), In(1)) if batch > 1 else {}),
                "start": In(1),
                "tiles": In(16),
                "refused": In(8),
                "draining": In(1),
                "tile_done": In(1),
                "launch": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "error": Out(8),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        """Step through the phases; count the cycles."""
        m = Module()
        wait = Signal(range(CHECK))
        tiles = Signal(16)
        m.d.sync += self.launch.eq(0)

        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
            with m.If(self.start):
                m.d.sync += self.error.eq(Error.BUSY)

        with m.If(self.draining & self.start):
            m.d.sync += self.error.eq(Error.BUSY)

        with m.FSM():
            with m.State("idle"):
                with m.If(self.start & ~self.draining):
                    m.d.sync += [
                        self.busy.eq(1),
                        self.done.eq(0),
                        self.error.eq(Error.NONE),
                        self.cycles.eq(0),
                        wait.eq(CHECK - 1),
                        tiles.eq(self.tiles),
                    ]
                    m.next = "check"

            with m.State("check"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    with m.If(self.refused == Error.NONE):
                        m.d.sync += self.launch.eq(1)
                        m.next = "integrate"
                        if self._batch > 1:
                            with m.If(self.encode):
                                m.next = "encode"
                    with m.Else():
                        m.d.sync += [self.error.eq(self.refused), self.busy.eq(0)]
                        m.next = "idle"

            with m.State("integrate"):
                with m.If(self.tile_done):
                    m.d.sync += tiles.eq(tiles - 1)
                    with m.If(tiles == 1):
                        m.d.sync += [self.busy.eq(0), self.done.eq(1)]
                        m.next = "idle"

            if self._batch > 1:
                with m.State("encode"):
                    with m.If(self.encoded & ~self.launch):
                        m.d.sync += [self.busy.eq(0), self.done.eq(1)]
                        m.next = "idle"
        return m
