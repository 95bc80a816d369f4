"""What is kept of a block beside its events."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.classifier import Code, code_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


def model(block: Sequence[Code]) -> tuple[int, int]:
    """Sum X of the decoded values of one block (§5), and its events."""
    return sum(code.value for code in block), sum(not code.silent for code in block)


def summary_layout() -> data.StructLayout:
    """Relative scale of a block, sum X of its decoded values, and number of its events."""
    return data.StructLayout(
        {
            "mantissa": 2,
            "shift": 4,
            "code_sum": signed(CoreParams.code_sum_width),
            "count": range(BLOCK + 1),
        }
    )


class BlockSummary(wiring.Component):
    """Sums up the blocks of a stream of codes; a summary leaves 1 cycle after its last code.

    Members
    -------
    classified : In(stream)
        See :func:`hw.encode.classifier.code_layout`; always ready.
    summary : Out(stream)
        See :func:`summary_layout`; must always be accepted.
    """

    classified: In(stream.Signature(code_layout(), always_ready=True))
    summary: Out(stream.Signature(summary_layout(), always_ready=True))

    def elaborate(self, platform):
        """Accumulate into the output, which is complete when the block ends."""
        m = Module()
        code, summary = self.classified.p, self.summary.p
        starts = Signal(init=1)
        m.d.sync += self.summary.valid.eq(self.classified.valid & code.place.last)
        with m.If(self.classified.valid):
            m.d.sync += [
                starts.eq(code.place.last),
                summary.mantissa.eq(code.place.mantissa),
                summary.shift.eq(code.place.shift),
                summary.code_sum.eq(Mux(starts, 0, summary.code_sum) + code.value),
                summary.count.eq(Mux(starts, 0, summary.count) + ~code.silent),
            ]
        return m
