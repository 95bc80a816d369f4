"""Normalizes a vector to the quantizer's input (``docs/arithmetic.md`` §6)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.register import plain_register
from hw.spec.scales import INPUT_MAX
from hw.vector import word
from hw.vector.beat import WIDTH, beat_layout, delay, send
from hw.vector.normalization_shift import (
    ELEMENT_BITS,
    MAGNITUDE_BITS,
    SHIFT_BITS,
    check_element_bits,
)

#: Signed bits of the quantizer's input.
INPUT_BITS = MAGNITUDE_BITS + 1

#: Cycles from a beat to its normalized beat.
LATENCY = 3

#: Bits of the distance that the second of the two shifters takes.
_FINE = 3


def model(values: Sequence[int], shift: int) -> list[int]:
    """Shift a vector by n with rounding, halves up, and saturate it.

    Parameters
    ----------
    values : sequence of int
        Elements.
    shift : int
        Shift n of this vector; see :func:`hw.vector.normalization_shift.model`.

    Returns
    -------
    list of int
        Elements, -32767..32767.
    """
    return [word.saturate(word.shift(value, shift), INPUT_MAX) for value in values]


class Normalize(wiring.Component):
    """Second of the two passes over a vector that enters a matrix, a beat a cycle.

    Before it stands the buffer of the vector whose shift
    :class:`hw.vector.normalization_shift.NormalizationShift` has found; behind it the input buffer
    of the encoder.

    Parameters
    ----------
    width : int
        Elements a cycle, at least 1.
    element_bits : int
        Signed bits of an element, 2..62.

    Members
    -------
    elements : In(stream)
        See :func:`hw.vector.beat.beat_layout`; always ready.
    shift : In(signed(7))
        Shift n of this very vector, stable from the cycle before its first beat until its last has
        left.
    inputs : Out(stream)
        Beats of 16-bit elements, ``LATENCY`` cycles later; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH, element_bits: int = ELEMENT_BITS):
        check_element_bits(element_bits)
        self.width, self.element_bits = width, element_bits
        beat = beat_layout(signed(element_bits), width)
        inputs = beat_layout(signed(INPUT_BITS), width)
        super().__init__(
            {
                "elements": In(stream.Signature(beat, always_ready=True)),
                "shift": In(signed(SHIFT_BITS)),
                "inputs": Out(stream.Signature(inputs, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Coarse shift; fine shift, to one fraction bit; rounding and saturation."""
        m = Module()
        send(m, delay(m, self.elements, LATENCY)[-1], self.inputs)

        # One bit of an element becomes the top one at the most, hence the left shift.
        distance = Signal(max(ceil_log2(self.element_bits), MAGNITUDE_BITS.bit_length()))
        m.d.sync += distance.eq(self.shift + MAGNITUDE_BITS - 1)
        inputs = plain_register(m, self.inputs.p.elements)
        for i in range(self.width):
            # The largest magnitude fits 17 bits with one fraction bit: no bits above are lost.
            coarse = Signal(
                signed(INPUT_BITS + 1 + (1 << _FINE) - 1), name=f"coarse_{i}", reset_less=True
            )
            fine = Signal(signed(INPUT_BITS + 1), name=f"fine_{i}", reset_less=True)
            element = self.elements.p.elements[i]
            m.d.sync += [
                coarse.eq((element << MAGNITUDE_BITS) >> (distance[_FINE:] << _FINE)),
                fine.eq(coarse >> distance[:_FINE]),
                inputs[i].eq(word.rounded(fine, 1)),
            ]
            # Seen before the rounding, which is long enough: what it saturates.
            with m.If(fine > 2 * INPUT_MAX):
                m.d.sync += inputs[i].eq(INPUT_MAX)
            with m.If(fine < -2 * INPUT_MAX - 1):
                m.d.sync += inputs[i].eq(-INPUT_MAX)
        return m
