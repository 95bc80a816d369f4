"""Input buffer of the encoder: written by host or vector unit, read element by element."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
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
    position : In
        Number of an element.
    en : In(1)
        ``position`` counts; else ``element`` stays.
    element : Out(signed(16))
        That element, one cycle later.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "input": In(input_signature(params)),
                "position": In(range(params.max_inputs)),
                "en": In(1, init=1),
                "element": Out(signed(16)),
            }
        )

    def elaborate(self, platform):
        """Read a beat; choose its element."""
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
        place = Signal(range(max(width, 2)))
        m.d.comb += [
            write.addr.eq(self.input.address >> low),
            write.data.eq(self.input.data),
            write.en.eq(self.input.en),
            read.addr.eq(self.position >> low),
            read.en.eq(self.en),
            self.element.eq(read.data[place]),
        ]
        with m.If(self.en):
            m.d.sync += place.eq(self.position & (width - 1))
        return m
