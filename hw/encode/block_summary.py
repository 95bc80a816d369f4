"""What is kept of a block beside its events."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode import digits
from hw.encode.classifier import Code
from hw.encode.digits import split_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


def model(block: Sequence[Code], integrator: str) -> tuple[int, int]:
    """Sum X of the decoded values of one block (§5), and its events."""
    code_sum = sum(code.value for code in block)
    if integrator == "mac":
        return code_sum, sum(not code.silent for code in block)
    return code_sum, sum(level != 0 for code in block for level in digits.model(code))


def summary_layout() -> data.StructLayout:
    """Relative scale of a block, sum X of its decoded values, and number of its events."""
    return data.StructLayout(
        {
            "mantissa": 2,
            "shift": 4,
            "code_sum": signed(CoreParams.code_sum_width),
            "count": range(2 * BLOCK + 1),
        }
    )


class BlockSummary(wiring.Component):
    """Sums up the blocks of a stream of codes; a summary leaves 1 cycle after its last code.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core: ``mac`` fires an integer once, ``spike`` each of its digits.

    Members
    -------
    split : In(stream)
        See :func:`hw.encode.digits.split_layout`; always ready.
    summary : Out(stream)
        See :func:`summary_layout`; must always be accepted.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "split": In(stream.Signature(split_layout(), always_ready=True)),
                "summary": Out(stream.Signature(summary_layout(), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Accumulate into the output, which is complete when the block ends."""
        m = Module()
        split, summary = self.split.p, self.summary.p
        code = split.code
        starts = Signal(init=1)
        fires = ~code.silent
        if self.params.integrator == "spike":
            fires = (split.coarse != 0) + (split.fine != 0)
        m.d.sync += self.summary.valid.eq(self.split.valid & code.place.last)
        with m.If(self.split.valid):
            m.d.sync += [
                starts.eq(code.place.last),
                summary.mantissa.eq(code.place.mantissa),
                summary.shift.eq(code.place.shift),
                summary.code_sum.eq(Mux(starts, 0, summary.code_sum) + code.value),
                summary.count.eq(Mux(starts, 0, summary.count) + fires),
            ]
        return m
