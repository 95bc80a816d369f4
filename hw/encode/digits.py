"""Splits integers into the digits that fire in time (``docs/arithmetic.md`` §2)."""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.classifier import Code, code_layout
from hw.spec.codes import digits
from hw.spec.params import CoreParams

LARGEST = (1 << CoreParams.code_width - 1) - 1
LARGEST_COARSE, _ = digits(LARGEST)


class Windows(NamedTuple):
    """Levels at which a code fires in both windows, with its signs; 0 does not fire."""

    coarse: int
    fine: int


def model(code: Code) -> Windows:
    """Split an integer; a spike fires in the fine window, as it is."""
    return Windows(*digits(code.level)) if code.integer else Windows(0, code.level)


def split_layout() -> data.StructLayout:
    """One classified code, and the levels at which it fires.

    Members
    -------
    code : struct
        See :func:`hw.encode.classifier.code_layout`.
    coarse, fine : unsigned
        Levels in both windows; 0 does not fire.
    coarse_negative, fine_negative : unsigned(1)
        Polarities.
    """
    return data.StructLayout(
        {
            "code": code_layout(),
            "coarse": range(LARGEST_COARSE + 1),
            "fine": range(LARGEST + 1),
            "coarse_negative": 1,
            "fine_negative": 1,
        }
    )


class Digits(wiring.Component):
    """Splits one code a cycle, in one cycle.

    Members
    -------
    classified : In(stream)
        See :func:`hw.encode.classifier.code_layout`; always ready.
    split : Out(stream)
        See :func:`split_layout`; must always be accepted.
    """

    classified: In(stream.Signature(code_layout(), always_ready=True))
    split: Out(stream.Signature(split_layout(), always_ready=True))

    def elaborate(self, platform):
        """Round to the nearest multiple of 16: from 8 on the rest is negative."""
        m = Module()
        code, out = self.classified.p, self.split.p
        magnitude = Signal(range(LARGEST + 1))
        rest = magnitude[:4]
        flips = code.integer & rest[3]
        m.d.comb += magnitude.eq(abs(code.level))
        m.d.sync += [
            self.split.valid.eq(self.classified.valid),
            out.code.eq(code),
            out.coarse.eq(Mux(code.integer, (magnitude + 8) >> 4, 0)),
            out.coarse_negative.eq(code.level < 0),
            out.fine.eq(Mux(code.integer, Mux(rest[3], 16 - rest, rest), magnitude)),
            out.fine_negative.eq((code.level < 0) ^ flips),
        ]
        return m
