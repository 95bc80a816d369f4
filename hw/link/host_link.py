"""The host link of a board: a serial line in front of registers and device memory."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.axi4_lite import AXI4LiteSignature
from hw.bus.csr import ADDRESS_WIDTH
from hw.link.access import AccessSignature, RegisterAccess
from hw.link.deframer import Deframer
from hw.link.executor import Executor
from hw.link.framer import Framer
from hw.link.uart import UARTReceiver, UARTTransmitter


class HostLink(wiring.Component):
    """Requests of the host become accesses (``docs/link.md``).

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit on the line.
    clock : int
        Frequency in Hz, to tell the host.
    memory : int
        Bytes of device memory, to tell the host.

    Members
    -------
    rx : In(1)
        Line from the host; asynchronous.
    tx : Out(1)
        Line to the host.
    registers : Out(AXI4LiteSignature)
        The core's registers.
    device : Out(AccessSignature)
        Device memory.
    executed : Out(1)
        A request was executed; pulses.
    """

    def __init__(self, *, divisor: int, clock: int, memory: int):
        self._divisor, self._clock, self._memory = divisor, clock, memory
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "registers": Out(AXI4LiteSignature(ADDRESS_WIDTH)),
                "device": Out(AccessSignature()),
                "executed": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join line, frames and execution."""
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(divisor=self._divisor)
        m.submodules.deframer = deframer = Deframer()
        m.submodules.executor = executor = Executor(clock=self._clock, memory=self._memory)
        m.submodules.framer = framer = Framer()
        m.submodules.transmitter = transmitter = UARTTransmitter(divisor=self._divisor)
        m.submodules.access = access = RegisterAccess(address_width=ADDRESS_WIDTH)
        connect(m, receiver.octets, deframer.octets)
        connect(m, deframer.requests, executor.requests)
        connect(m, executor.answers, framer.answers)
        connect(m, framer.octets, transmitter.octets)
        connect(m, executor.registers, access.access)
        connect(m, executor.device, flipped(self.device))
        connect(m, access.axi, flipped(self.registers))
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.tx.eq(transmitter.line),
            deframer.place.eq(executor.place),
            deframer.offset.eq(executor.offset),
            executor.octet.eq(deframer.octet),
            executor.answer_offset.eq(framer.offset),
            framer.octet.eq(executor.answer_octet),
            self.executed.eq(executor.executed),
        ]
        return m
