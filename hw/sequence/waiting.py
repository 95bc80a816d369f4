"""Tells what a program waits for, so that who sees it hang knows where to look."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.csr import register_layout
from hw.sequence.layout import units_layout
from hw.spec.program import Opcode
from hw.spec.registers import REGISTERS

#: Opcodes of the vector unit's parts.
_PARTS = {
    "embed": (Opcode.EMBED,),
    "feed": (Opcode.NORM, Opcode.NORMALIZE, Opcode.GATE, Opcode.GELU),
    "softmax": (Opcode.SOFTMAX,),
    "rotate": (Opcode.ROTATE,),
    "keep": (Opcode.KEEP,),
    "combine": (Opcode.LAYER_NORM, Opcode.SUM),
}


class Waiting(wiring.Component):
    """Register ``waiting`` from the states of all units; no state of its own.

    Members
    -------
    fetching, running : In(1), In(struct)
        See :class:`hw.sequence.sequencer.Sequencer`.
    opcode : In(8)
        What the vector unit executes.
    multiplied, drained : In(1)
        Of a MATVEC: the matrix unit has ended, and the drain.
    stored, draining : In(1)
        No write waits for its response; something forgotten waits for device memory.
    units : Out(struct)
        The register's fields.
    """

    def __init__(self):
        names = ("fetching", "multiplied", "drained", "stored", "draining")
        super().__init__(
            {
                **dict.fromkeys(names, In(1)),
                "running": In(units_layout(1)),
                "opcode": In(8),
                "units": Out(register_layout(REGISTERS["waiting"])),
            }
        )

    def elaborate(self, platform):
        """Name what runs; of the vector unit, the part that the opcode is for."""
        m = Module()
        units, running = self.units, self.running
        m.d.comb += [
            units.fetch.eq(self.fetching),
            units.loader.eq(running.load),
            units.encoder.eq(running.encode),
            units.matrix.eq(running.matvec & ~self.multiplied),
            units.drain.eq(running.matvec & ~self.drained),
            *(
                units[name].eq(running.vector & self.opcode.matches(*opcodes))
                for name, opcodes in _PARTS.items()
            ),
            units.writes.eq(~self.stored),
            units.forgotten.eq(self.draining),
        ]
        return m
