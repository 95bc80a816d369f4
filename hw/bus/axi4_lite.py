"""AXI4-Lite slave in front of a register bus."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from hw.bus.window import WINDOW_LATENCY, WORD

#: Cycles from a read on the register bus to its answer: the windows, then a register.
READ_LATENCY = WINDOW_LATENCY + 1

#: Reads that may be on their way, so that one can be taken in every cycle.
READS = 8

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
    """Access to 32-bit registers; a read in every cycle, but none on its way during a write.

    Members
    -------
    write_address : Out
        Number of the register to write: its byte address divided by 4.
    write : Out(1)
        Pulse.
    write_data : Out(32)
        Value to write.
    refused : In(1)
        The write has no effect, in the same cycle.
    read_address : Out
        Number of the register to read.
    read : Out(1)
        Pulse.
    answer : In(struct)
        ``value`` of the read :data:`READ_LATENCY` cycles before, or 0 and ``refused``.
    """
    answer = data.StructLayout({"value": WORD, "refused": 1})
    return wiring.Signature(
        {
            "write_address": Out(address_width - 2),
            "write": Out(1),
            "write_data": Out(WORD),
            "refused": In(1),
            "read_address": Out(address_width - 2),
            "read": Out(1),
            "answer": In(answer),
        }
    )


class AXI4LiteSlave(wiring.Component):
    """Takes a read in every cycle and a write in three; both sides take turns.

    A write waits until the registers have answered the reads before it, not until the master has
    taken their answers. Writes need all byte strobes: others have no effect and answer SLVERR, as
    refused accesses do. The two lowest address bits are ignored.

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
        """Keep the order of reads and writes; queue the answers."""
        m = Module()
        axi, registers = self.axi, self.registers
        m.submodules.answers = answers = SyncFIFO(width=WORD + 1, depth=READS)
        wrote, idle = Signal(), Signal()
        write_waits = axi.awvalid & axi.wvalid
        reads_next = wrote | ~write_waits

        # Reads: a request, its way through the registers, its answer.
        waiting = Signal(range(READS + 1))
        passing = Signal(READ_LATENCY)
        asked, told = axi.arvalid & axi.arready, axi.rvalid & axi.rready
        m.d.comb += [
            axi.arready.eq(idle & reads_next & (waiting != READS)),
            answers.w_en.eq(passing[-1]),
            answers.w_data.eq(registers.answer),
            answers.r_en.eq(axi.rready),
            axi.rvalid.eq(answers.r_rdy),
            axi.rdata.eq(answers.r_data[:WORD]),
            axi.rresp.eq(Mux(answers.r_data[WORD], SLVERR, OKAY)),
        ]
        m.d.sync += [
            registers.read.eq(asked),
            registers.read_address.eq(axi.araddr >> 2),
            passing.eq(Cat(registers.read, passing)),
            waiting.eq(waiting + asked - told),
        ]
        with m.If(asked):
            m.d.sync += wrote.eq(0)

        strobed = axi.wstrb.all()
        m.d.comb += registers.write_data.eq(axi.wdata)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += idle.eq(1)
                quiet = ~registers.read & ~passing.any()
                with m.If(write_waits & ~(axi.arvalid & wrote) & quiet & ~asked):
                    m.d.sync += registers.write_address.eq(axi.awaddr >> 2)
                    m.next = "write"

            with m.State("write"):
                m.d.comb += [
                    axi.awready.eq(1),
                    axi.wready.eq(1),
                    registers.write.eq(strobed),
                ]
                m.d.sync += [
                    axi.bresp.eq(Mux(strobed & ~registers.refused, OKAY, SLVERR)),
                    axi.bvalid.eq(1),
                    wrote.eq(1),
                ]
                m.next = "write-response"

            with m.State("write-response"):
                with m.If(axi.bready):
                    m.d.sync += axi.bvalid.eq(0)
                    m.next = "idle"
        return m
