"""Vector memory: the words between the instructions of a token."""

from __future__ import annotations

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.memory import NO_COLLISIONS
from hw.spec.params import CoreParams
from hw.vector.beat import WORD_BITS

#: Bits of a word address, whatever the memory's size.
ADDRESS_BITS = 16

#: Read ports of vector memory.
READ_PORTS = ("a", "b", "c")

#: Where a word is cut: block RAMs are 18 bits wide.
_CUTS = ((0, 18), (18, WORD_BITS))

#: Cycles from an address to its words.
READ_LATENCY = 2


def words_layout(params: CoreParams) -> data.ArrayLayout:
    """Return the layout of a beat of vector memory, ``vector_width`` words."""
    return data.ArrayLayout(signed(WORD_BITS), params.vector_width)


def ReadSignature(params: CoreParams) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """Read port, as a reader sees it.

    Members
    -------
    address : Out(16)
        Word address; its low bits, within a beat, do not matter.
    words : In
        The beat that holds it, :data:`READ_LATENCY` cycles later.
    """
    return wiring.Signature({"address": Out(ADDRESS_BITS), "words": In(words_layout(params))})


def WriteSignature(params: CoreParams) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """Write port, as a writer sees it.

    Members
    -------
    address : Out(16)
        Word address; its low bits, within a beat, do not matter.
    words : Out
        The beat that holds it.
    mask : Out
        Words of the beat that are written; all 0 where nothing is. Who does not write drives all
        members to 0, so that the writers of one memory may be joined by OR.
    """
    return wiring.Signature(
        {
            "address": Out(ADDRESS_BITS),
            "words": Out(words_layout(params)),
            "mask": Out(params.vector_width),
        }
    )


class VectorMemory(wiring.Component):
    """Three read ports and one write port over the same words.

    A word that is written can be read from the next cycle on.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; ``vector_words`` must not be 0.

    Members
    -------
    a, b, c : In(ReadSignature)
        Read ports. The last one is the drain's, so that it disturbs nobody.
    write : In(WriteSignature)
        Write port.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                **{name: In(ReadSignature(params)) for name in READ_PORTS},
                "write": In(WriteSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Connect the memories; a register behind each read, as a block RAM is slow.

        Each word of a beat has memories of its own. So a word may be written while its neighbours
        are read, as the drain does that adds to the residual in place.
        """
        m = Module()
        width = self.params.vector_width
        low = exact_log2(width)
        for i in range(width):
            for first, end in _CUTS:
                m.submodules[f"word_{i}_{first}"] = memory = Memory(
                    shape=end - first,
                    depth=self.params.vector_words // width,
                    init=[],
                    attrs=NO_COLLISIONS,
                )
                for name in READ_PORTS:
                    reader = getattr(self, name)
                    port = memory.read_port()
                    m.d.comb += port.addr.eq(reader.address[low:])
                    m.d.sync += reader.words.as_value()[WORD_BITS * i :][first:end].eq(port.data)
                port = memory.write_port()
                m.d.comb += [
                    port.addr.eq(self.write.address[low:]),
                    port.data.eq(self.write.words[i][first:end]),
                    port.en.eq(self.write.mask[i]),
                ]
        return m
