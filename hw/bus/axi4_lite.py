"""AXI4-Lite slave in front of a register bus."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.window import WORD

OKAY = 0b00
SLVERR = 0b10


def AXI4LiteSignature(address_width: int) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """AXI4-Lite with 32 data bits, as the master sees it; member names are the standard's."""
    return wiring.Signature(
        {
            "awaddr": Out(address_width),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(WORD),
            "wstrb": Out(WORD // 8),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_width),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(WORD),
            "rresp": In(2),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def RegisterBusSignature(address_width: int) -> wiring.Signature:  # noqa: N802
    """One access at a time to 32-bit registers.

    Members
    -------
    address : Out
        Number of the register: its byte address divided by 4.
    write : Out(1)
        Pulse; ``error`` answers in the same cycle.
    write_data : Out(32)
        Value to write.
    read : Out(1)
        Pulse; the answer comes with ``done``.
    read_data : In(32)
        Value, valid with ``done``.
    done : In(1)
        Pulse.
    error : In(1)
        The access was refused and had no effect.
    """
    return wiring.Signature(
        {
            "address": Out(address_width - 2),
            "write": Out(1),
            "write_data": Out(WORD),
            "read": Out(1),
            "read_data": In(WORD),
            "done": In(1),
            "error": In(1),
        }
    )


class AXI4LiteSlave(wiring.Component):
    """One access at a time; a read goes first after a write, so neither side starves.

    Writes need all byte strobes: others have no effect and answer SLVERR, as refused accesses do.
    The two lowest address bits are ignored.

    Parameters
    ----------
    address_width : int
        Bits of the byte address.

    Attributes
    ----------
    axi : In(AXI4LiteSignature)
        The bus.
    registers : Out(RegisterBusSignature)
        The registers.
    """

    def __init__(self, address_width: int):
        super().__init__(
            {
                "axi": In(AXI4LiteSignature(address_width)),
                "registers": Out(RegisterBusSignature(address_width)),
            }
        )

    def elaborate(self, platform):
        """Take one request, wait for the registers, hold the response."""
        m = Module()
        axi, registers = self.axi, self.registers
        wrote = Signal()
        strobed = axi.wstrb.all()
        write_waits = axi.awvalid & axi.wvalid
        m.d.comb += registers.write_data.eq(axi.wdata)

        with m.FSM():
            with m.State("idle"):
                with m.If(axi.arvalid & (wrote | ~write_waits)):
                    m.d.sync += registers.address.eq(axi.araddr >> 2)
                    m.next = "read"
                with m.Elif(write_waits):
                    m.d.sync += registers.address.eq(axi.awaddr >> 2)
                    m.next = "write"

            with m.State("write"):
                m.d.comb += [
                    axi.awready.eq(1),
                    axi.wready.eq(1),
                    registers.write.eq(strobed),
                ]
                m.d.sync += [
                    axi.bresp.eq(Mux(strobed & ~registers.error, OKAY, SLVERR)),
                    axi.bvalid.eq(1),
                    wrote.eq(1),
                ]
                m.next = "write-response"

            with m.State("write-response"):
                with m.If(axi.bready):
                    m.d.sync += axi.bvalid.eq(0)
                    m.next = "idle"

            with m.State("read"):
                m.d.comb += [axi.arready.eq(1), registers.read.eq(1)]
                m.d.sync += wrote.eq(0)
                m.next = "read-wait"

            with m.State("read-wait"):
                with m.If(registers.done):
                    m.d.sync += [
                        axi.rdata.eq(Mux(registers.error, 0, registers.read_data)),
                        axi.rresp.eq(Mux(registers.error, SLVERR, OKAY)),
                        axi.rvalid.eq(1),
                    ]
                    m.next = "read-response"

            with m.State("read-response"):
                with m.If(axi.rready):
                    m.d.sync += axi.rvalid.eq(0)
                    m.next = "idle"
        return m
