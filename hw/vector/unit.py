"""Vector unit: vector memory, and the units that work on it."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.window import WINDOW_LATENCY, WORD, WindowSignature
from hw.compare import has_all
from hw.encode.input_buffer import input_signature
from hw.sequence.decode import task_layout
from hw.sequence.layout import is_wide
from hw.sequence.output_reader import OutputReader
from hw.sequence.sequencer import starts_layout
from hw.sequence.storer import octet_layout
from hw.spec.params import CoreParams
from hw.spec.program import Opcode
from hw.vector.combine import Combine
from hw.vector.drain import Drain
from hw.vector.embed import Embed
from hw.vector.feed import Feed
from hw.vector.keep import Keep
from hw.vector.memory import ADDRESS_BITS, VectorMemory, WriteSignature
from hw.vector.rotate import Rotate
from hw.vector.scalars import BASE_BITS, VectorScalars
from hw.vector.single import read_word, write_word
from hw.vector.softmax import Softmax
from hw.vector.write_turns import WriteTurns


class VectorUnit(wiring.Component):
    """Executes what is between the matrices, and drains these, each one at a time.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; ``vector_words`` must not be 0.

    Members
    -------
    starts : In(struct)
        See :func:`hw.sequence.sequencer.starts_layout`: ``matvec`` pulses for ``product``, at most
        one of the others for ``task``.
    task : In(struct)
        What is executed, see :func:`hw.sequence.decode.task_layout`; stable until ``executed``.
    product : In(struct)
        MATVEC whose outputs are drained, likewise; stable until ``drained``.
    executed : Out(1)
        ``task`` has ended; pulses.
    drained : Out(1)
        The outputs of ``product`` are where they belong; low from the cycle after its start.
    clear : In(1)
        Forgets the logits of the last token.
    stop : In(1)
        Forget what runs, from the cycle after the next one on.
    closed : In(1)
        The host's window to vector memory is closed.
    load, granted : In(WriteSignature), Out(1)
        Write port for numbers from device memory; must be 0 where ``granted`` is low.
    octets, stored : Out(stream), In(1)
        Bytes for device memory; see :class:`hw.sequence.storer.Storer`.
    input : Out
        Input buffer of the encoder; see :func:`hw.encode.input_buffer.input_signature`. The last
        write may come with ``executed``: the encoder may be started 5 cycles after it.
    bases : In(ArrayLayout(4, batch))
        Base exponents of the encoded vectors.
    tile_done, output, accumulator : In(1), Out, In
        Output buffer; see :class:`hw.sequence.output_reader.OutputReader`.
    best, vector : In(WindowSignature)
        The host's windows to the largest logits and to vector memory.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "starts": In(starts_layout()),
                "task": In(task_layout()),
                "product": In(task_layout()),
                "executed": Out(1),
                "drained": Out(1, init=1),
                **dict.fromkeys(("clear", "stop", "closed"), In(1)),
                "load": In(WriteSignature(params)),
                "granted": Out(1),
                "octets": Out(stream.Signature(octet_layout())),
                "stored": In(1),
                "input": Out(input_signature(params)),
                "bases": In(data.ArrayLayout(BASE_BITS, params.batch)),
                "tile_done": In(1),
                "output": Out(range(params.max_outputs)),
                "accumulator": In(signed(params.accumulator_width)),
                "best": In(WindowSignature()),
                "vector": In(WindowSignature()),
            }
        )

    def elaborate(self, platform):
        """Join the units to memory, encoder and output buffer."""
        m = Module()
        params = self.params
        embed, feed, softmax = Embed(params), Feed(params), Softmax(params)
        rotate, keep, drain = Rotate(params), Keep(params), Drain(params)
        reader, turns = OutputReader(params), WriteTurns(params)
        scalars = VectorScalars(params)
        units = {"embed": embed, "feed": feed, "softmax": softmax, "rotate": rotate, "keep": keep}
        if params.encoder:
            units["combine"] = self._combine(m)
        parts = {**units, "drain": drain, "reader": reader, "turns": turns}
        stop = Signal()  # a register of its own, as it reaches so much
        m.d.sync += stop.eq(self.stop)
        for name, unit in parts.items():
            m.submodules[name] = ResetInserter(stop)(unit)
        m.submodules.memory = memory = VectorMemory(params)
        self._connect_memory(m, memory, drain, list(units.values()))
        m.submodules.scalars = scalars
        self._connect_scalars(m, scalars, feed, softmax)
        connect(m, reader.outputs, turns.source)
        connect(m, turns.target, drain.outputs)
        self._connect_drain(m, drain, reader, scalars)
        self._connect_best(m, drain)

        starts, task = self.starts, self.task
        connect(m, keep.octets, flipped(self.octets))
        m.d.comb += [
            embed.start.eq(starts.embed),
            feed.start.eq(starts.norm | starts.normalize | starts.gate | starts.gelu),
            softmax.start.eq(starts.softmax),
            turns.start.eq(starts.rotate),
            rotate.start.eq(turns.begin),
            turns.ended.eq(rotate.done),
            keep.start.eq(starts.keep),
            keep.origin.eq(task.origin),
            keep.mantissa_origin.eq(task.mantissa_origin),
            keep.scale_address.eq(task.scale_address),
            keep.stored.eq(self.stored),
            self.executed.eq(Cat(unit.done for unit in units.values()).any()),
        ]
        for unit in units.values():
            m.d.comb += [
                unit.instruction.eq(task.instruction),
                unit.count.eq(task.instruction.count),
            ]
        # The encoder is far, hence a register: an instruction takes longer to begin.
        for name in self.input.signature.members:
            fed = [Value.cast(getattr(unit.input, name)) for unit in (feed, softmax)]
            m.d.sync += Value.cast(getattr(self.input, name)).eq(reduce(or_, fed))
        return m

    def _combine(self, m) -> Combine:
        """Return what executes LAYER_NORM and SUM."""
        combine, starts = Combine(self.params), self.starts
        m.d.comb += [
            combine.start.eq(starts.layer_norm | starts.sum),
            combine.norms.eq(starts.layer_norm),
        ]
        return combine

    def _connect_memory(self, m, memory, drain, units):
        """Who is idle drives 0, so that all may share a port; what is loaded steps back.

        Block RAMs lie far apart, so writes go through a register: the next instruction reads later.
        """
        writers = [user.write for user in (*units, drain) if hasattr(user, "write")]
        m.d.comb += self.granted.eq(~Cat(write.mask for write in writers).any())
        writers += [self.load, self._connect_window(m, memory)]
        window = Signal(ADDRESS_BITS)  # a register, as block RAMs lie far apart
        m.d.sync += window.eq(Mux(self.closed, 0, self.vector.address))
        readers_of_a = [drain.a, *(unit.a for unit in units)]
        readers_of_b = [unit.b for unit in units if hasattr(unit, "b")]
        for port, readers, more in (
            (memory.a, readers_of_a, [window]),
            (memory.b, readers_of_b, []),
            (memory.c, [drain.b], []),
        ):
            addresses = [*(reader.address for reader in readers), *more]
            m.d.comb += port.address.eq(reduce(or_, addresses))
            m.d.comb += [reader.words.eq(port.words) for reader in readers]
        for name in memory.write.signature.members:
            values = [Value.cast(getattr(write, name)) for write in writers]
            m.d.sync += Value.cast(getattr(memory.write, name)).eq(reduce(or_, values))

    def _connect_window(self, m, memory):
        """Let the host read and write words; return its write port."""
        window, host = self.vector, WriteSignature(self.params).create()
        # The address moves on by itself by one at most, so that a comparison may come late.
        words, inside = self.params.vector_words, Signal()
        m.d.sync += [
            inside.eq(window.address < words),
            window.writable.eq(~self.closed & (window.address < words)),
        ]
        behind = has_all(window.address, words)
        m.d.comb += window.readable.eq(inside & ~self.closed & ~behind)
        m.d.sync += window.read_data.eq(read_word(m, memory.a))
        with m.If(window.write):
            write_word(m, host, window.address, window.write_data)
        written = WriteSignature(self.params).create()
        for name in written.signature.members:
            m.d.sync += Value.cast(getattr(written, name)).eq(Value.cast(getattr(host, name)))
        return written

    def _connect_scalars(self, m, scalars, feed, softmax):
        """Keep what an instruction has found when it ends."""
        instruction, given = self.task.instruction, scalars.given
        m.d.comb += [
            scalars.vector.eq(instruction.vector),
            scalars.set_shift.eq(feed.done),
            scalars.set_multiplier.eq(feed.done & (instruction.opcode == Opcode.NORM)),
            scalars.set_gain.eq(softmax.done),
            scalars.bases.eq(self.bases),
            *(given[name].eq(getattr(feed, name)) for name in ("shift", "multiplier", "exponent")),
            *(given[name].eq(getattr(softmax, name)) for name in ("gain", "gain_shift")),
        ]

    def _connect_drain(self, m, drain, reader, scalars):
        product, start = self.product.instruction, self.starts.matvec
        m.d.comb += [
            reader.start.eq(start),
            reader.count.eq(product.count),
            reader.vectors.eq(product.vectors),
            reader.tile_done.eq(self.tile_done),
            reader.accumulator.eq(self.accumulator),
            self.output.eq(reader.address),
            drain.start.eq(start),
            drain.instruction.eq(product),
            scalars.asked.eq(drain.vector),
            drain.scalars.eq(scalars.scalars),
        ]
        m.d.sync += [drain.clear.eq(self.clear), reader.wide.eq(is_wide(product))]
        with m.If(start):
            m.d.sync += self.drained.eq(0)
        with m.Elif(drain.done | self.stop):
            m.d.sync += self.drained.eq(1)

    def _connect_best(self, m, drain):
        """Keep the largest logits of the last token for the host."""
        kept = Signal.like(drain.best.payload)
        m.d.comb += drain.best.ready.eq(1)
        with m.If(drain.best.valid):
            m.d.sync += kept.eq(drain.best.payload)
        # The address' last bits choose of each four words, its first a cycle later of these.
        # To index the view itself would take a multiplier.
        halves = [part for i in range(self.params.best) for part in (kept[i].id, kept[i].logit)]
        asked, later = (Signal(range(len(halves)), name=name) for name in ("asked", "later"))
        few = [Signal(WORD, name=f"few_{first}") for first in range(0, len(halves), 4)]
        words = [Signal(WORD, name=f"word_{stage}") for stage in range(WINDOW_LATENCY - 3)]
        inside = Signal()  # the address moves on by itself by one at most
        count = 2 * self.params.best
        m.d.sync += inside.eq(self.best.address < count)
        behind = has_all(self.best.address, count)
        m.d.comb += self.best.readable.eq(inside & ~behind)
        m.d.sync += [
            asked.eq(self.best.address),
            later.eq(asked),
            *(word.eq(Array(halves[4 * i : 4 * i + 4])[asked[:2]]) for i, word in enumerate(few)),
            words[0].eq(Array(few)[later[2:]]),
            *(after.eq(before) for before, after in zip(words, words[1:], strict=False)),
            self.best.read_data.eq(words[-1]),
        ]
