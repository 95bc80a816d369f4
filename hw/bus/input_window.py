"""Host window of the input buffer."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.bus.window import WindowSignature
from hw.encode.input_buffer import input_signature
from hw.spec.params import CoreParams


class InputWindow(wiring.Component):
    """Writes one signed element a word into the encoder's input buffer; cannot be read.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    window : In(WindowSignature)
        The host's words; the element is the low half.
    input : Out
        Write port of the buffer, two cycles later; see
        :func:`hw.encode.input_buffer.input_signature`. All 0 where nothing is written.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__({"window": In(WindowSignature()), "input": Out(input_signature(params))})

    def elaborate(self, platform):
        """Pass words on to the buffer."""
        m = Module()
        window = self.window
        # Whether it is written comes late, so that it is held before anything depends on it.
        writes, kept = Signal(), Signal.like(window.write_data)
        address = Signal.like(window.address)
        m.d.sync += [
            writes.eq(window.write),
            address.eq(window.address),
            kept.eq(window.write_data),
            *(Value.cast(getattr(self.input, n)).eq(0) for n in self.input.signature.members),
        ]
        with m.If(writes):
            m.d.sync += [
                self.input.en.eq(1 << address[: exact_log2(self._params.input_width)]),
                self.input.address.eq(address),
                *(element.eq(kept) for element in self.input.data),
            ]
        m.d.sync += window.writable.eq(window.address < self._params.max_inputs)
        return m
