"""Output buffer: collects the scaler's results and keeps them for the host."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.integrate.fault import ACCUMULATOR, fault_layout
from hw.spec.cycles import lanes_per_stream
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams

WORD = 32


class OutputBuffer(wiring.Component):
    """Puts the streams' results in the order of outputs, one a cycle, behind the next tile.

    Tiles must end at least :func:`hw.spec.cycles.tile_interval` apart.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    wide : In(1)
        Weights have 8 bits: half as many outputs as lanes.
    results, slot, valid, last
        From the scaler.
    clear : In(1)
        The next output is number 0.
    fault : In(fault_layout)
        Kind 2 inverts a bit of one output; a bit beyond the accumulator wraps around.
    tile_done : Out(1)
        The last output of a tile is being written; pulses.
    address : In
        Host: number of the output times 2, plus 1 for the high half.
    word : Out(32)
        Host: half of a sign-extended accumulator, two cycles after its address.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        self._depth = lanes_per_stream(params)
        self._shape = signed(params.accumulator_width)
        super().__init__(
            {
                "wide": In(1),
                "results": In(data.ArrayLayout(self._shape, params.scaler_streams)),
                "slot": In(range(max(self._depth, 2))),
                "valid": In(1),
                "last": In(1),
                "clear": In(1),
                "fault": In(fault_layout()),
                "tile_done": Out(1),
                "address": In(range(2 * params.max_outputs)),
                "word": Out(WORD),
            }
        )

    def elaborate(self, platform):
        """Collect by stream, read out by output, store, serve the host."""
        m = Module()
        params = self._params

        m.submodules.collected = collected = memory.Memory(
            shape=self.results.shape(), depth=max(self._depth, 2), init=[]
        )
        collect = collected.write_port()
        m.d.comb += [
            collect.addr.eq(self.slot),
            collect.data.eq(self.results),
            collect.en.eq(self.valid),
        ]

        m.submodules.stored = stored = memory.Memory(
            shape=self._shape, depth=params.max_outputs, init=[]
        )
        value, write, last = self._read_out(m, collected.read_port())
        number = Signal(range(params.max_outputs))
        mask = Signal(params.accumulator_width)
        store = stored.write_port()
        width = params.accumulator_width
        bit = self.fault.bit
        struck = (self.fault.kind == ACCUMULATOR) & (self.fault.index == number)
        m.d.sync += mask.eq(1 << Mux(bit >= width, (bit - width)[: len(bit)], bit))
        m.d.comb += [
            store.addr.eq(number),
            store.data.eq(value ^ Mux(struck, mask, 0)),
            store.en.eq(write),
            self.tile_done.eq(write & last),
        ]
        with m.If(self.clear):
            m.d.sync += number.eq(0)
        with m.Elif(write):
            m.d.sync += number.eq(number + 1)

        fetch = stored.read_port()
        high = Signal()
        extended = Signal(signed(2 * WORD))
        m.d.comb += [fetch.addr.eq(self.address >> 1), extended.eq(fetch.data)]
        m.d.sync += [high.eq(self.address[0]), self.word.eq(extended.word_select(high, WORD))]
        return m

    def _read_out(self, m, port):
        """Walk over streams and slots once a tile; returns value, valid and last."""
        params = self._params
        busy = Signal()
        slot = Signal.like(self.slot)
        stream = Signal(range(max(params.scaler_streams, 2)))
        left = Signal(range(params.lanes + 1))
        last_slot = Mux(self.wide, W8.outputs(self._depth) - 1, self._depth - 1)
        with m.If(self.valid & self.last):
            outputs = Mux(self.wide, W8.outputs(params.lanes), W4.outputs(params.lanes))
            m.d.sync += [busy.eq(1), slot.eq(0), stream.eq(0), left.eq(outputs - 1)]
        with m.Elif(busy):
            m.d.sync += [busy.eq(left != 0), left.eq(left - 1), slot.eq(slot + 1)]
            with m.If(slot == last_slot):
                m.d.sync += [slot.eq(0), stream.eq(stream + 1)]
        m.d.comb += [port.addr.eq(slot), port.en.eq(busy)]

        fetched, fetched_last, fetched_stream = Signal(), Signal(), Signal.like(stream)
        value, valid, last = Signal(self._shape), Signal(), Signal()
        choices = Array(port.data[i] for i in range(params.scaler_streams))
        m.d.sync += [
            fetched.eq(busy),
            fetched_last.eq(left == 0),
            fetched_stream.eq(stream),
            valid.eq(fetched),
            last.eq(fetched_last),
            value.eq(choices[fetched_stream]),
        ]
        return value, valid, last
