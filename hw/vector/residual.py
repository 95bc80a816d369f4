"""Adds the result of a matrix to the residual (``docs/arithmetic.md`` §11)."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.vector import rescale
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.rescale import MULTIPLIER, SHIFT, Rescale
from hw.vector.word import saturate, saturated

#: The result is not scaled, only shifted: 1 with 15 fraction bits.
ONE = 32768

#: Cycles from a beat of the residual to the sums, if its accumulators came in time.
LATENCY = 2


def model(h: int, accumulator: int, k: int) -> int:
    """Add one accumulator to the residual.

    Parameters
    ----------
    h : int
        Word of the residual.
    accumulator : int
        Signed, ``accumulator_width`` bits.
    k : int
        Shift to the right, of any size: ``15 + 4 + f - RF - r - E - n``.

    Returns
    -------
    int
        Word of the new residual.
    """
    return saturate(h + rescale.model(accumulator, ONE, k))


def accumulator_layout(params: CoreParams) -> data.StructLayout:
    """Return the layout of an accumulator and its shift ``k``."""
    return data.StructLayout({"accumulator": signed(params.accumulator_width), "k": SHIFT})


def latency(params: CoreParams) -> int:
    """Cycles from a beat of accumulators to the sums, if the residual's beat was waiting."""
    return rescale.latency(params) + LATENCY


class Residual(wiring.Component):
    """Rescales accumulators and adds them to the residual, beat by beat; either may wait.

    Before it stand the output buffer of the tile engine, after the output and after the down
    matrix of a layer, and the buffer of the residual; behind it the same buffer, from which the
    next norm reads.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    width : int
        Elements a cycle, at least 1.

    Members
    -------
    accumulators : In(stream)
        Beats of :func:`accumulator_layout`, see :func:`hw.vector.beat.beat_layout`. A beat waits
        where the beats before it wait for the residual.
    residual : In(stream)
        Beats of words, as many and with the same ``count`` and ``last``. A beat waits until the
        accumulators of its place are rescaled.
    sums : Out(stream)
        Beats of words; must always be accepted.
    """

    def __init__(self, *, params: CoreParams, width: int = WIDTH):
        self.params, self.width = params, width
        accumulators = beat_layout(accumulator_layout(params), width)
        words = beat_layout(signed(WORD_BITS), width)
        super().__init__(
            {
                "accumulators": In(stream.Signature(accumulators)),
                "residual": In(stream.Signature(words)),
                "sums": Out(stream.Signature(words, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Rescaling, which waits for the residual; sum; saturation."""
        m = Module()
        m.submodules.rescale = rescaled = Rescale(params=self.params, width=self.width)
        scale, words = rescaled.accumulators, rescaled.words
        m.d.comb += [
            words.ready.eq(self.residual.valid),
            self.residual.ready.eq(words.valid),
            self.accumulators.ready.eq(scale.ready),
            scale.valid.eq(self.accumulators.valid),
            scale.p.count.eq(self.accumulators.p.count),
            scale.p.last.eq(self.accumulators.p.last),
        ]
        send(m, delay(m, self.residual, LATENCY)[-1], self.sums)
        for i in range(self.width):
            element = self.accumulators.p.elements[i]
            total = Signal(signed(WORD_BITS + 1), name=f"total_{i}")
            m.d.comb += [
                scale.p.elements[i].accumulator.eq(element.accumulator),
                scale.p.elements[i].multiplier.eq(Const(ONE, MULTIPLIER)),
                scale.p.elements[i].k.eq(element.k),
            ]
            m.d.sync += [
                total.eq(self.residual.p.elements[i] + words.p.elements[i]),
                self.sums.p.elements[i].eq(saturated(total)),
            ]
        return m
