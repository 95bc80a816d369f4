"""Input buffer of the encoder: written by host or vector unit, read element by element."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from hw.memory import NO_COLLISIONS
from hw.spec.params import CoreParams


def input_signature(params: CoreParams) -> wiring.Signature:
    """Write port of the input buffer, as a writer sees it: neighbouring elements in a cycle.

    Members
    -------
    en : Out
        Bit i: element i of the beat is written. Without a vector unit a beat is one element.
    address : Out
        Number of an element of the beat; a beat begins at a multiple of its width.
    data : Out
        Elements, -32767..32767.
    """
    width = params.input_width
    return wiring.Signature(
        {
            "en": Out(width),
            "address": Out(ceil_log2(params.max_inputs)),
            "data": Out(data.ArrayLayout(signed(16), width)),
        }
    )


class InputBuffer(wiring.Component):
    """Holds one vector.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    input : In
        See :func:`input_signature`.
    first : In(1)
        Elements are about to be asked for, from the first one on, which two cycles ago had been
        written; none of those before is needed any more.
    position : In
        Number of an element; 0 behind ``first``, then each in turn.
    en : In(1)
        ``position`` counts; else ``element`` stays. It does not matter with ``first``.
    element : Out(signed(16))
        That element, one cycle later.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "input": In(input_signature(params)),
                "first": In(1),
                "position": In(range(params.max_inputs)),
                "en": In(1, init=1),
                "element": Out(signed(16)),
            }
        )

    def elaborate(self, platform):
        """Read a beat, if it has several elements while the one before is used; choose one."""
        m = Module()
        width = self.params.input_width
        low = exact_log2(width)
        m.submodules.elements = elements = Memory(
            shape=self.input.data.shape(),
            depth=self.params.max_inputs // width,
            init=[],
            attrs=NO_COLLISIONS,
        )
        write, read = elements.write_port(granularity=1), elements.read_port()
        m.d.comb += [
            write.addr.eq(self.input.address >> low),
            write.data.eq(self.input.data),
            write.en.eq(self.input.en),
        ]
        if width == 1:
            m.d.comb += [
                read.addr.eq(self.position),
                read.en.eq(self.en),
                self.element.eq(read.data[0]),
            ]
            return m

        beat, place = Signal.like(read.data), Signal(range(width))
        m.d.comb += [
            read.addr.eq(Mux(self.first, 0, (self.position >> low) + 1)),
            read.en.eq(self.en | self.first),
            self.element.eq(beat[place]),
        ]
        with m.If(self.en):
            m.d.sync += place.eq(self.position)
        with m.If(self.first | (self.en & (place == width - 1))):
            m.d.sync += beat.eq(read.data)
        return m
