"""Serial line: a start bit, eight data bits from the lowest on, a stop bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: Fewest clock cycles of a bit: the middle of a bit must be found.
LEAST_DIVISOR = 3

_BITS = 10


def check_divisor(divisor: int) -> None:
    """Refuse bits that are too short.

    Raises
    ------
    ValueError
        The message names the fewest cycles.
    """
    if divisor < LEAST_DIVISOR:
        raise ValueError(
            f"divisor must be at least {LEAST_DIVISOR} clock cycles a bit, not {divisor}; lower "
            "the baud rate or raise the clock"
        )


class UARTReceiver(wiring.Component):
    """Gives the bytes of a line; those without a stop bit are dropped.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    line : In(1)
        The line, high while idle; asynchronous.
    octets : Out(stream)
        Bytes; who takes them must always be ready.

    Raises
    ------
    ValueError
        If bits are too short.
    """

    def __init__(self, *, divisor: int):
        check_divisor(divisor)
        self._divisor = divisor
        super().__init__(
            {
                "line": In(1, init=1),
                "octets": Out(stream.Signature(8, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Look at every bit in its middle."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, line, init=1)
        timer = Signal(range(self._divisor))
        left = Signal(range(_BITS + 1))
        m.d.sync += self.octets.valid.eq(0)
        with m.If(left == 0):
            m.d.sync += timer.eq((self._divisor - 1) // 2)
            with m.If(~line):
                m.d.sync += left.eq(_BITS)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self._divisor - 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += self.octets.valid.eq(line)
            with m.Elif((left == _BITS) & line):
                m.d.sync += left.eq(0)  # a glitch, no start bit
            with m.Else():
                m.d.sync += self.octets.payload.eq(Cat(self.octets.payload[1:], line))
        return m


class UARTTransmitter(wiring.Component):
    """Sends bytes on a line.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    octets : In(stream)
        Bytes.
    line : Out(1)
        The line, high while idle.

    Raises
    ------
    ValueError
        If bits are too short.
    """

    def __init__(self, *, divisor: int):
        check_divisor(divisor)
        self._divisor = divisor
        super().__init__({"octets": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform):
        """Shift bits out."""
        m = Module()
        timer = Signal(range(self._divisor))
        left = Signal(range(_BITS + 1))
        bits = Signal(_BITS - 1, init=-1)
        m.d.comb += self.octets.ready.eq((left == 0) & (timer == 0))
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [
                Cat(self.line, bits).eq(Cat(bits, 1)),
                left.eq(left - 1),
                timer.eq(self._divisor - 1),
            ]
        with m.Elif(self.octets.valid):
            m.d.sync += [
                self.line.eq(0),
                bits.eq(Cat(self.octets.payload, 1)),
                left.eq(_BITS - 1),
                timer.eq(self._divisor - 1),
            ]
        return m
