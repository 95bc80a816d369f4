"""Lets a unit that writes vector memory and the drain take turns at the one write port."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.output_reader import output_layout
from hw.spec.params import CoreParams
from hw.vector import drain


class WriteTurns(wiring.Component):
    """Holds outputs back while a unit writes, and the unit until those before are written.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start : In(1)
        The unit shall begin; pulses.
    begin : Out(1)
        It begins; pulses, :data:`hw.spec.token_cycles.WRITE_TURN` cycles after ``start`` or, if
        the drain is at work, up to :func:`hw.vector.drain.latency` cycles later.
    ended : In(1)
        It has written all; pulses.
    source, target : In(stream), Out(stream)
        Outputs on their way to the drain; see :func:`hw.sequence.output_reader.output_layout`.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        outputs = stream.Signature(output_layout(params))
        super().__init__(
            {
                **dict.fromkeys(("start", "ended"), In(1)),
                "begin": Out(1),
                "source": In(outputs),
                "target": Out(outputs),
            }
        )

    def elaborate(self, platform):
        """Count the cycles until all that was taken is written."""
        m = Module()
        source, target = self.source, self.target
        waits, held = Signal(), Signal()
        until_written = Signal(range(drain.latency(self.params) + 1))
        m.d.comb += [
            target.payload.eq(source.payload),
            target.valid.eq(source.valid & ~held),
            source.ready.eq(target.ready & ~held),
            self.begin.eq(waits & (until_written == 0)),
        ]
        with m.If(target.valid & target.ready):
            m.d.sync += until_written.eq(drain.latency(self.params))
        with m.Elif(until_written != 0):
            m.d.sync += until_written.eq(until_written - 1)
        m.d.sync += [
            waits.eq(self.start | (waits & ~self.begin)),
            held.eq(self.start | (held & ~self.ended)),
        ]
        return m
