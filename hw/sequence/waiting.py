"""Tells what a program waits for, so that who sees it hang knows where to look."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.csr import register_layout
from hw.spec.program import Opcode
from hw.spec.registers import REGISTERS

#: Opcodes of the units that have only one, or share a bit.
_UNITS = {
    "embed": (Opcode.EMBED,),
    "feed": (Opcode.NORM, Opcode.NORMALIZE, Opcode.GATE),
    "softmax": (Opcode.SOFTMAX,),
    "rotate": (Opcode.ROTATE,),
    "keep": (Opcode.KEEP,),
}


class Waiting(wiring.Component):
    """Register ``waiting`` from the states of all units; no state of its own.

    Members
    -------
    fetching, loading, executing : In(1)
        See :class:`hw.sequence.sequencer.Sequencer`.
    opcode : In(8)
        What executes.
    multiplied, drained : In(1)
        Of a MATVEC: the matrix engine has ended, and the drain.
    stored, draining : In(1)
        No write waits for its response; something forgotten waits for device memory.
    units : Out(struct)
        The register's fields.
    """

    def __init__(self):
        names = ("fetching", "loading", "executing", "multiplied", "drained", "stored", "draining")
        super().__init__(
            {
                **dict.fromkeys(names, In(1)),
                "opcode": In(8),
                "units": Out(register_layout(REGISTERS["waiting"])),
            }
        )

    def elaborate(self, platform):
        """Name the unit of the opcode that executes."""
        m = Module()
        units = self.units
        multiplies = self.executing & (self.opcode == Opcode.MATVEC)
        m.d.comb += [
            units.fetch.eq(self.fetching),
            units.loader.eq(self.loading),
            units.matrix.eq(multiplies & ~self.multiplied),
            units.drain.eq(multiplies & ~self.drained),
            *(
                units[name].eq(self.executing & self.opcode.matches(*opcodes))
                for name, opcodes in _UNITS.items()
            ),
            units.writes.eq(~self.stored),
            units.forgotten.eq(self.draining),
        ]
        return m
