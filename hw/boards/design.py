"""The board design: core, device memory on chip, host link, clock and reset."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from amaranth.hdl import ClockDomain, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out

from hw.boards.pll import PLL, dividers
from hw.build import TOP as CORE
from hw.build import convert
from hw.bus.block_memory import BlockMemory
from hw.core import MEMORY_PREFIX, PREFIX
from hw.link.host_link import HostLink
from hw.spec.params import CoreParams
from hw.synapse.block_ram import VERILOG

#: Name of the Verilog module.
TOP = "firstspike_board"

#: Bits of a serial line in a second.
BAUD = 1_000_000

#: A line is read well where its bits are at most this much longer or shorter than they should be.
_TOLERANCE = Fraction(2, 100)

_BLINK, _GLOW = 25, 20  # bits of the lights' counters


def divisor(megahertz: Fraction | int, baud: int) -> int:
    """Clock cycles of a bit.

    Raises
    ------
    ValueError
        If no whole number comes near the baud rate.
    """
    if baud <= 0 or megahertz <= 0:
        raise ValueError(
            f"clock and baud rate must be above 0, not {float(megahertz):g} MHz and {baud} baud"
        )
    exact = Fraction(megahertz) * 10**6 / baud
    found = round(exact)
    if not found or abs(found - exact) > _TOLERANCE * exact:
        raise ValueError(
            f"a clock of {float(megahertz):g} MHz has {float(exact):.3g} cycles in a bit at "
            f"{baud} baud, too far from a whole number; choose another baud rate"
        )
    return found


class BoardDesign(wiring.Component):
    """Top of the FPGA.

    Parameters
    ----------
    params : CoreParams
        The core; with a token unit.
    source, megahertz : Fraction or int
        Frequencies of the board's oscillator and of the core.
    baud : int
        Bits in a second on the serial line.
    leds : int
        Lights: alive, core done, request executed, line busy.
    inverted : collection of str
        Ports for which low means on.

    Attributes
    ----------
    clock : int
        Frequency of the core in Hz.

    Members
    -------
    clk : In(1)
        The oscillator.
    reset : In(1)
        Button.
    rx, tx : In(1), Out(1)
        Serial line from and to the host.
    led0, ... : Out(1)
        Lights.

    Raises
    ------
    ValueError
        If the core runs no tokens, or the clock does not suit.
    """

    def __init__(
        self,
        params: CoreParams,
        *,
        source: Fraction | int,
        megahertz: Fraction | int,
        baud: int = BAUD,
        leds: int = 4,
        inverted: Mapping[str, bool] | None = None,
    ):
        if not params.vector_words:
            raise ValueError(
                "a board's core must run tokens by itself; choose a configuration with "
                "vector_words, such as ulx3s"
            )
        self._params, self._inverted, self._leds = params, inverted or {}, leds
        self.clock = int(Fraction(megahertz) * 10**6)
        self._divisor = divisor(megahertz, baud)
        self._frequencies = {"source": source, "wanted": megahertz}
        dividers(**self._frequencies)  # refuses what cannot be
        super().__init__(
            {
                "clk": In(1),
                "reset": In(1),
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                **{f"led{i}": Out(1) for i in range(leds)},
            }
        )

    def elaborate(self, platform):
        """Join all; the core is the module that the builder makes without a board."""
        m = Module()
        params = self._params
        m.submodules.pll = pll = PLL(**self._frequencies)
        m.submodules.link = link = HostLink(
            divisor=self._divisor,
            clock=self.clock,
            memory=params.memory_bytes,
        )
        m.submodules.memory = memory = BlockMemory(params)
        m.domains.sync = sync = ClockDomain()
        m.d.comb += [pll.source.eq(self.clk), sync.clk.eq(pll.clock)]
        pressed = self.reset ^ self._inverted.get("reset", False)
        m.submodules.synchronizer = ResetSynchronizer(~pll.locked | pressed)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        wiring.connect(m, link.device, memory.host)

        irq = Signal()
        ports = {"i_clk": sync.clk, "i_rst": sync.rst, "o_irq": irq}
        buses = (
            (PREFIX, link.registers),
            (MEMORY_PREFIX, memory.reads),
            (MEMORY_PREFIX, memory.writes),
        )
        for prefix, bus in buses:
            for name, member in bus.signature.members.items():
                direction = "i" if member.flow is Out else "o"  # flows are those of the other side
                ports[f"{direction}_{prefix}{name}"] = getattr(bus, name)
        m.submodules.core = Instance(CORE, **ports)
        self._light(m, (None, irq, link.executed, ~self.rx | ~link.tx))
        return m

    def _light(self, m, events):
        """Show events long enough to be seen; the first light blinks."""
        blink = Signal(_BLINK)
        m.d.sync += blink.eq(blink + 1)
        for number, event in enumerate(events[: self._leds]):
            on = blink[-1]
            if event is not None:
                glow = Signal(_GLOW, name=f"glow{number}")
                on = glow.any()
                with m.If(event):
                    m.d.sync += glow.eq(-1)
                with m.Elif(on):
                    m.d.sync += glow.eq(glow - 1)
            port = f"led{number}"
            m.d.comb += getattr(self, port).eq(on ^ self._inverted.get(port, False))


def board_verilog(design: BoardDesign, core: str) -> str:
    """Verilog of a board design with its core, module :data:`TOP`.

    Parameters
    ----------
    design : BoardDesign
        The board's.
    core : str
        Verilog of the core, from :func:`hw.build.generate`.
    """
    return core + convert(design, TOP).removesuffix(VERILOG)
