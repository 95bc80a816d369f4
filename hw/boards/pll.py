"""The clock of a board design: EHXPLLL of the ECP5, set by frequency."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Limits of the ECP5 family data sheet (FPGA-DS-02012), in MHz: phase comparator and oscillator.
_COMPARATOR = (10, 400)
_OSCILLATOR = (400, 800)

#: Largest divider.
_MOST = 128

#: Behaviour for simulation: the clock passes, whatever its frequency, and is locked at once.
SIMULATION = """
module EHXPLLL #(
    parameter CLKI_DIV = 1,
    parameter CLKFB_DIV = 1,
    parameter CLKOP_DIV = 1,
    parameter CLKOS_DIV = 1,
    parameter CLKOP_ENABLE = "ENABLED",
    parameter CLKOS_ENABLE = "ENABLED",
    parameter CLKOP_CPHASE = 0,
    parameter CLKOS_CPHASE = 0,
    parameter FEEDBK_PATH = "CLKOP"
) (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
    input PLLWAKESYNC, ENCLKOP, ENCLKOS,
    output CLKOP, CLKOS, LOCK
);
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
  assign LOCK = 1'b1;
endmodule
"""


@dataclasses.dataclass(frozen=True)
class Dividers:
    """Dividers of the input, of the oscillator for the feedback, and of it for the output."""

    input: int
    feedback: int
    output: int


def dividers(source: Fraction | int, wanted: Fraction | int) -> Dividers:
    """Choose dividers that give exactly a frequency.

    Parameters
    ----------
    source, wanted : Fraction or int
        Frequencies in MHz.

    Raises
    ------
    ValueError
        If there are none; the message names the nearest frequencies that can be.
    """
    source, wanted = Fraction(source), Fraction(wanted)
    possible: dict[Fraction, Dividers] = {}
    for by in range(1, _MOST + 1):
        compared = source / by
        if not _COMPARATOR[0] <= compared <= _COMPARATOR[1]:
            continue
        for feedback in range(1, _MOST + 1):
            if _OSCILLATOR[0] <= compared * feedback <= _OSCILLATOR[1]:
                for output in range(1, _MOST + 1):
                    frequency = compared * feedback / output
                    possible.setdefault(frequency, Dividers(by, feedback, output))
    if wanted not in possible:
        below = max((f for f in possible if f < wanted), default=None)
        above = min((f for f in possible if f > wanted), default=None)
        near = [f"{float(f):g}" for f in (below, above) if f is not None]
        verb = "nearest are" if len(near) > 1 else "nearest is"
        raise ValueError(
            f"no clock of {float(wanted):g} MHz can be made from {float(source):g} MHz; the "
            f"{verb} {' and '.join(near)} MHz"
        )
    return possible[wanted]


class PLL(wiring.Component):
    """Makes a clock from the board's.

    The first output is fed back undivided further, so that the second may have any divider.

    Parameters
    ----------
    source, wanted : Fraction or int
        Frequencies in MHz.

    Members
    -------
    source : In(1)
        The board's clock.
    clock : Out(1)
        The clock that is wanted.
    locked : Out(1)
        It is steady.

    Raises
    ------
    ValueError
        If that frequency cannot be made.
    """

    def __init__(self, *, source: Fraction | int, wanted: Fraction | int):
        self.dividers = dividers(source, wanted)
        super().__init__({"source": In(1), "clock": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        """Make the instance; what is not used is low."""
        m = Module()
        chosen, feedback = self.dividers, Signal()
        unused = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PHASEDIR", "PHASESTEP")
        unused += ("PHASELOADREG", "PLLWAKESYNC", "ENCLKOP", "ENCLKOS")
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=chosen.input,
            p_CLKFB_DIV=1,
            p_CLKOP_DIV=chosen.feedback,
            p_CLKOS_DIV=chosen.output,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOP_CPHASE=chosen.feedback - 1,
            p_CLKOS_CPHASE=chosen.output - 1,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.source,
            i_CLKFB=feedback,
            o_CLKOP=feedback,
            o_CLKOS=self.clock,
            o_LOCK=self.locked,
            **{f"i_{name}": Const(0, 1) for name in unused},
        )
        return m
