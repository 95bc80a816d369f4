"""Group scaler: ``acc += S_g * (d * P + b * X)`` (``docs/arithmetic.md`` §5)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.integrate.beat import beat_layout, group_layout
from hw.spec.cycles import lanes_per_stream
from hw.spec.formats import SUM_BEATS, SUM_BITS
from hw.spec.params import CoreParams
from hw.spec.scales import EXPONENT_SPAN

SCALE_WIDTH = 8

#: Signed bits of a row sum R, 32 times -8..7, and of the silent value m - z.
ROW_SUM_WIDTH = 9
SILENT_WIDTH = 8

#: Signed bits of 16 * P_h + P_l + 8 * X, and of d times that, beyond those of P.
PAIR_BITS = 4
TERM_BITS = 11

#: Bits of a factor that are multiplied apart from those above them.
LOW_WIDTH = 17

#: Pipeline registers from the chains' heads to the results.
STAGES = 8


class GroupScaler(wiring.Component):
    """Several streams in step, each serving its lanes one after the other.

    The scales of the next group collect in a shadow register while the streams work; a handover
    loads sums and scales into chains that shift by one lane a cycle. Handovers come at least
    :func:`hw.spec.cycles.group_interval` apart.

    The lanes' sums are P less ``silent * R``, which is added first. With ``wide`` (8-bit weights)
    an even lane waits for its odd neighbour, and the pair gives one output
    ``16 * P_h + P_l + 8 * X``.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    wide : In(1)
        Weights have 8 bits.
    silent : In(signed(8))
        Value m - z of a silent code; 0 unless beats marked ``sums`` come with every group.
    beat, weights
        Beats of synapse memory; those marked ``scale`` or ``sums`` are collected.
    handover, group, sums
        From the lanes.
    results : Out(ArrayLayout(signed(accumulator_width), streams))
        One finished accumulator of each stream.
    slot : Out
        Number of these results within their streams.
    valid : Out(1)
        Results of a tile's last group stand in ``results``.
    last : Out(1)
        They are the tile's last.
    final : In
        Number of the batch's last vector.
    ends : Out(1)
        They are the last of that vector's tile.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        self._depth = lanes_per_stream(params)
        super().__init__(
            {
                "wide": In(1),
                "silent": In(signed(SILENT_WIDTH)),
                "beat": In(beat_layout(params)),
                "weights": In(params.beat_bits),
                "handover": In(1),
                "group": In(group_layout(params)),
                "sums": In(data.ArrayLayout(signed(params.sum_width), params.lanes)),
                "results": Out(
                    data.ArrayLayout(signed(params.accumulator_width), params.scaler_streams)
                ),
                "slot": Out(range(max(self._depth, 2))),
                "valid": Out(1),
                "last": Out(1),
                "final": In(range(params.batch)),
                "ends": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join control, chains, arithmetic and accumulators."""
        m = Module()
        tags, busy = self._tags(m)
        heads = self._chains(m, busy)
        terms = [
            self._term(m, tags, **{f"{name}_head": part[stream] for name, part in heads.items()})
            for stream in range(self._params.scaler_streams)
        ]
        self._accumulate(m, tags, terms)
        return m

    def _tags(self, m):
        """Track the lane at the chains' heads (tag 0) and behind k pipeline registers (tag k)."""
        position = Signal.like(self.slot)
        busy = Signal()
        group = Signal.like(self.group)
        end = position == self._depth - 1
        with m.If(self.handover):
            m.d.sync += [busy.eq(1), position.eq(0), group.eq(self.group)]
        with m.Elif(busy):
            m.d.sync += [busy.eq(~end), position.eq(position + 1)]

        layout = data.StructLayout(
            {"emit": 1, "slot": self.slot.shape(), "end": 1, "group": self.group.shape()}
        )
        tags = [Signal(layout, name=f"tag_{stage}") for stage in range(STAGES + 1)]
        m.d.comb += [
            tags[0].emit.eq(busy & (position[0] | ~self.wide)),
            tags[0].slot.eq(Mux(self.wide, position >> 1, position)),
            tags[0].end.eq(end),
            tags[0].group.eq(group),
        ]
        m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]
        return tags, busy

    def _chains(self, m, busy):
        """Shift chains of P, R, d and b; the heads of a stream's part are its lane in turn."""
        params = self._params
        slots = self._depth * params.scaler_streams
        beat_bits = params.beat_bits

        shadow = Signal(4 * beat_bits, reset_less=True)
        with m.If(self.beat.scale):
            m.d.sync += shadow.eq(Cat(shadow[beat_bits:], self.weights))
        newest = shadow[3 * beat_bits :]
        d_wide = Cat(
            newest.word_select(lane // 2, SCALE_WIDTH) for lane in range(params.lanes & ~1)
        )

        row_sums = Signal(SUM_BEATS * beat_bits, reset_less=True)
        part = Signal(range(SUM_BEATS))
        with m.If(self.beat.sums):
            m.d.sync += [row_sums.word_select(part, beat_bits).eq(self.weights), part.eq(part + 1)]
        narrow = Cat(row_sums[SUM_BITS * i :][:ROW_SUM_WIDTH] for i in range(params.lanes))

        chains = {}
        for name, width, load in (
            ("sum", params.sum_width, self.sums.as_value()),
            ("row_sum", ROW_SUM_WIDTH, narrow),
            ("d", SCALE_WIDTH, Mux(self.wide, d_wide, shadow[: 2 * beat_bits])),
            ("b", SCALE_WIDTH, shadow[2 * beat_bits :]),
        ):
            chain = Signal(slots * width, name=f"{name}_chain", reset_less=True)
            with m.If(self.handover):
                m.d.sync += chain.eq(load)
            with m.Elif(busy):
                m.d.sync += chain.eq(chain >> width)
            chains[name] = [
                chain[stream * self._depth * width :][:width].as_signed()
                for stream in range(params.scaler_streams)
            ]
        return chains

    def _term(self, m, tags, *, sum_head, row_sum_head, d_head, b_head):
        """One stream's ``S_g * (d * P + b * X)``, behind seven pipeline registers."""
        pair_width = self._params.sum_width + PAIR_BITS
        term_width = self._params.sum_width + TERM_BITS
        heard = Signal(signed(self._params.sum_width), reset_less=True)
        whole = Signal(signed(self._params.sum_width), reset_less=True)
        unheard = Signal(signed(ROW_SUM_WIDTH + SILENT_WIDTH), reset_less=True)
        d_early, b_early = (
            Signal(2 * SCALE_WIDTH, reset_less=True),
            Signal(2 * SCALE_WIDTH, reset_less=True),
        )
        m.d.sync += [
            unheard.eq(row_sum_head * self.silent),
            heard.eq(sum_head),
            whole.eq(heard + unheard),
            d_early.eq(Cat(d_head, d_early)),
            b_early.eq(Cat(b_head, b_early)),
        ]
        pair = Signal(signed(pair_width), reset_less=True)
        factor = Signal(signed(pair_width), reset_less=True)
        d, b = (
            Signal(signed(SCALE_WIDTH), reset_less=True),
            Signal(signed(SCALE_WIDTH), reset_less=True),
        )
        m.d.sync += [
            pair.eq(whole + (tags[2].group.code_sum << 3)),
            factor.eq(Mux(self.wide, (whole << 4) + pair, whole)),
            d.eq(d_early[SCALE_WIDTH:]),
            b.eq(Mux(self.wide, 0, b_early[SCALE_WIDTH:])),
        ]
        # A multiplier has 18 bits: the product of what is above them is added with the offset.
        low = Signal(signed(LOW_WIDTH + SCALE_WIDTH), reset_less=True)
        high = Signal(signed(term_width - LOW_WIDTH), reset_less=True)
        offset = Signal(signed(SCALE_WIDTH + self._params.code_sum_width), reset_less=True)
        term = Signal(signed(term_width), reset_less=True)
        m.d.sync += [
            low.eq(factor[:LOW_WIDTH] * d),
            high.eq(factor[LOW_WIDTH:].as_signed() * d),
            offset.eq(tags[3].group.code_sum * b),
            term.eq(low + (high << LOW_WIDTH) + offset),
        ]
        mantissa = tags[5].group.mantissa
        multiplied = Signal(signed(term_width + 3), reset_less=True)
        shifted = Signal(signed(term_width + 3 + EXPONENT_SPAN), reset_less=True)
        m.d.sync += [
            multiplied.eq((term << 2) + Mux(mantissa[0], term, 0) + Mux(mantissa[1], term << 1, 0)),
            shifted.eq(multiplied << tags[6].group.shift),
        ]
        return shifted

    def _accumulate(self, m, tags, terms):
        sets = self._params.batch * self._params.sub_tiles
        m.submodules.accumulators = accumulators = memory.Memory(
            shape=self.results.shape(), depth=sets << len(self.slot), init=[]
        )
        read = accumulators.read_port()
        write = accumulators.write_port()
        before = Signal.like(self.results, reset_less=True)
        soon, done = tags[-2:]
        m.d.comb += [
            read.addr.eq(Cat(tags[5].slot, tags[5].group.part, tags[5].group.vector)),
            read.en.eq(tags[5].emit),
            write.addr.eq(Cat(done.slot, done.group.part, done.group.vector)),
            write.data.eq(self.results),
            write.en.eq(done.emit),
            self.slot.eq(done.slot),
            self.last.eq(done.end),
        ]
        finished = soon.emit & soon.group.last
        m.d.sync += [
            self.valid.eq(finished),
            self.ends.eq(finished & soon.end & (soon.group.vector == self.final)),
            before.eq(read.data),
        ]
        for stream, term in enumerate(terms):
            kept = Mux(tags[7].group.first, 0, before[stream])
            m.d.sync += self.results[stream].eq(kept + term)
