"""Output buffer: keeps the scaler's results for the host."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.division import divide
from hw.integrate.fault import ACCUMULATOR, fault_layout
from hw.memory import ColumnMemory
from hw.spec.cycles import lanes_per_stream
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams

WORD = 32

#: Cycles from an address to its accumulator.
READ_LATENCY = 3


class OutputBuffer(wiring.Component):
    """One memory bank for each stream of the scaler, written as the results come.

    Outputs are counted in this order: a tile's for the first vector of a batch, for the second and
    so on, then the next tile's.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    wide : In(1)
        Weights have 8 bits: half as many outputs as lanes. Taken over with ``clear``.
    results, slot, valid, last
        From the scaler.
    clear : In(1)
        The next output is number 0.
    fault : In(fault_layout)
        Kind 2 inverts a bit of one output; a bit beyond the accumulator wraps around.
    tile_done : Out(1)
        The last output of a tile has come, and is written in the next cycle; pulses.
    address : In
        Number of the output times 2, plus 1 for the high half.
    word : Out(32)
        Half of a sign-extended accumulator, ``READ_LATENCY`` cycles after its address.
    accumulator : Out
        All of it, as late.
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
                "accumulator": Out(self._shape),
            }
        )

    def elaborate(self, platform):
        """Store tile after tile; find the host's output."""
        m = Module()
        params = self._params
        wide = Signal(reset_less=True)  # an abort keeps what has been computed readable
        with m.If(self.clear):
            m.d.sync += wide.eq(self.wide)

        place = Signal(range(self._words()))  # slots follow one another, as tiles do
        with m.If(self.clear):
            m.d.sync += place.eq(0)
        with m.Elif(self.valid):
            m.d.sync += place.eq(place + 1)
        m.d.comb += self.tile_done.eq(self.valid & self.last)

        number, word = self._locate(wide)
        fetched = []
        for stream, faulty in enumerate(self._faulty(m, wide)):
            # A block RAM is too slow for logic behind it; hence a register at once.
            fetched.append(Signal(self._shape, name=f"fetched_{stream}", reset_less=True))
            bank = ColumnMemory(shape=len(faulty), depth=self._words())
            m.submodules[f"bank_{stream}"] = bank
            stored = Signal(len(faulty), name=f"stored_{stream}", reset_less=True)
            m.d.sync += [
                stored.eq(faulty),
                bank.write.addr.eq(place),
                bank.write.en.eq(self.valid),
            ]
            m.d.comb += [bank.write.data.eq(stored), bank.read.addr.eq(word)]
            m.d.sync += fetched[-1].eq(bank.read.data)

        asked = Signal(data.StructLayout({"bank": range(max(params.scaler_streams, 2)), "high": 1}))
        chosen = Signal.like(asked)
        extended = Signal(signed(2 * WORD))
        m.d.comb += extended.eq(Array(fetched)[chosen.bank])
        m.d.sync += [
            asked.bank.eq(number),
            asked.high.eq(self.address[0]),
            chosen.eq(asked),
            self.word.eq(extended.word_select(chosen.high, WORD)),
            self.accumulator.eq(extended),
        ]
        return m

    def _words(self):
        """Words of a bank: as many tiles as there may be, of all vectors together."""
        lanes, most = self._params.lanes, self._params.max_outputs
        formats = [f for f in (W4, W8) if lanes % f.lanes_per_output == 0]
        words = max(most // f.outputs(lanes) * f.outputs(self._depth) for f in formats)
        return max(2, words)

    def _locate(self, wide):
        """Bank and word of the host's output: 8-bit weights count by pairs of lanes."""
        lane = Mux(wide, self.address[1:] << 1, self.address[1:])
        tile, lane = divide(lane, self._params.lanes)
        stream, lane = divide(lane, self._depth)
        return stream, (tile * self._depth + lane) >> wide

    def _faulty(self, m, wide):
        """Results of the streams, one of which a fault may strike."""
        params = self._params
        outputs = Mux(wide, W8.outputs(params.lanes), W4.outputs(params.lanes))
        width = params.accumulator_width
        index, mask = Signal(signed(len(self.fault.index) + 1)), Signal(width)
        bit = Signal.like(self.fault.bit)
        m.d.sync += [
            bit.eq(Mux(self.fault.bit >= width, self.fault.bit - width, self.fault.bit)),
            mask.eq(Mux(self.fault.kind == ACCUMULATOR, 1 << bit, 0)),
        ]
        with m.If(self.clear):
            m.d.sync += index.eq(self.fault.index)
        with m.Elif(self.valid & self.last):
            m.d.sync += index.eq(index - outputs)  # counted from the tile's first output
        for stream in range(params.scaler_streams):
            before = Mux(wide, W8.outputs(stream * self._depth), stream * self._depth)
            struck = Signal(name=f"struck_{stream}")
            m.d.comb += struck.eq(index == before + self.slot)
            yield self.results[stream] ^ Mux(struck, mask, 0)
