"""Scalars of each vector, from one instruction to a later one (``docs/program.md``)."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.spec.params import VECTOR_BITS, CoreParams
from hw.vector.gain import GAIN_BITS
from hw.vector.normalization_shift import SHIFT_BITS
from hw.vector.root import scale_layout
from hw.vector.softmax import GAIN_SHIFT_BITS

#: Unsigned bits of a base exponent E.
BASE_BITS = 4


class Scalars(NamedTuple):
    """What earlier instructions have set, and the base exponent of the encoded vector."""

    shift: int = 0
    multiplier: int = 0
    exponent: int = 0
    base: int = 0
    gain: int = 0
    gain_shift: int = 0


def scalars_layout() -> data.StructLayout:
    """Return the layout of :class:`Scalars`.

    Members
    -------
    shift, multiplier, exponent : signed(7), unsigned(16), signed(6)
        n, R and u of :class:`hw.vector.feed.Feed`.
    base : unsigned(4)
        E.
    gain, gain_shift : unsigned(16), signed(7)
        G and ``jz - j - ev`` of :class:`hw.vector.softmax.Softmax`.
    """
    return data.StructLayout(
        {
            "shift": signed(SHIFT_BITS),
            **{name: field.shape for name, field in scale_layout()},
            "base": unsigned(BASE_BITS),
            "gain": unsigned(GAIN_BITS),
            "gain_shift": signed(GAIN_SHIFT_BITS),
        }
    )


#: What is set at once.
GROUPS = (("shift",), ("multiplier", "exponent"), ("gain", "gain_shift"))


class VectorScalars(wiring.Component):
    """Keeps the scalars of all vectors; one instruction sets those of one, another reads any.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    vector : In(6)
        Whose are set, below ``batch``.
    set_shift, set_multiplier, set_gain : In(1)
        Set n; R and u; G and ``jz - j - ev``. They are read from the next cycle on.
    given : In(struct)
        See :func:`scalars_layout`; ``base`` is ignored.
    bases : In(ArrayLayout(4, batch))
        Base exponents, which the encoder keeps.
    asked : In(6)
        Whose are read, below ``batch``.
    scalars : Out(struct)
        They, in the same cycle.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "vector": In(VECTOR_BITS),
                **{f"set_{names[0]}": In(1) for names in GROUPS},
                "given": In(scalars_layout()),
                "bases": In(data.ArrayLayout(BASE_BITS, params.batch)),
                "asked": In(VECTOR_BITS),
                "scalars": Out(scalars_layout()),
            }
        )

    def elaborate(self, platform):
        """Keep each group by itself, in memory that is read at once."""
        m = Module()
        depth = max(2, self.params.batch)
        for names in GROUPS:
            layout = data.StructLayout({name: scalars_layout()[name].shape for name in names})
            m.submodules[names[0]] = kept = Memory(shape=layout, depth=depth, init=[])
            write, read = kept.write_port(), kept.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(getattr(self, f"set_{names[0]}")),
                write.addr.eq(self.vector),
                read.addr.eq(self.asked),
            ]
            for name in names:
                m.d.comb += [
                    write.data[name].eq(self.given[name]),
                    self.scalars[name].eq(read.data[name]),
                ]
        m.d.comb += self.scalars.base.eq(self.bases[self.asked])
        return m
