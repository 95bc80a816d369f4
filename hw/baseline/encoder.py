"""Encoder of the plain engine: 8-bit codes, none of them silent."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import connect, flipped

from hw.encode.block_scale import BlockScale
from hw.encode.block_sums import BlockSums
from hw.encode.input_buffer import InputBuffer
from hw.encode.quotient import Quotient
from hw.encode.scale_memory import ScaleMemory
from hw.encode.vector_encoder import VectorEncoder
from hw.spec.codes import BLOCK, QUOTIENT_FRACTION


class DenseEncoder(VectorEncoder):
    """Quantizes a vector once, and replays all its codes for every tile of outputs."""

    def elaborate(self, platform):
        """Find the scales; divide and round; keep codes; replay them."""
        m = Module()
        params = self.params
        m.submodules.buffer = buffer = InputBuffer(params)
        m.submodules.block_sums = block_sums = BlockSums(params)
        m.submodules.block_scale = block_scale = BlockScale()
        m.submodules.scales = scales = ScaleMemory(params)
        m.submodules.quotient = quotient = Quotient()
        connect(m, flipped(self.input), buffer.input)
        connect(m, flipped(self.input), block_sums.input)
        connect(m, block_scale.index, scales.index)

        position = Signal(range(params.max_inputs))
        blocks, scanned = (Signal(range(params.max_blocks + 1)) for _ in range(2))
        final, ends = Signal(), Signal()
        scan, divide, dividing = Signal(), Signal(), Signal()
        divided = quotient.elements
        m.d.comb += [
            buffer.position.eq(position),
            block_sums.block.eq(scanned + scan),
            scales.block.eq(position // BLOCK),
            scales.clear.eq(self.start),
            self.bases[0].eq(scales.base),
            final.eq(position + 1 == self.inputs),
        ]
        # Two cycles from a position to its element: the memories, then a register.
        m.d.sync += [
            blocks.eq((self.inputs + BLOCK - 1) // BLOCK),
            block_scale.sums.p.eq(block_sums.sums),
            block_scale.sums.valid.eq(scan),
            ends.eq(final | (position % BLOCK == BLOCK - 1)),
            dividing.eq(divide),
            divided.valid.eq(dividing),
            divided.p.value.eq(buffer.element),
            divided.p.exponent.eq(scales.exponent),
            divided.p.place.last.eq(ends),
            divided.p.place.mantissa.eq(scales.mantissa),
            divided.p.place.shift.eq(scales.shift),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [position.eq(0), scanned.eq(0)]
                with m.If(self.start):
                    m.d.sync += self.encoded.eq(0)
                    m.next = "scan"
            with m.State("scan"):
                m.d.comb += scan.eq(scanned != blocks)
                m.d.sync += scanned.eq(scanned + scan)
                with m.If(scales.received == blocks):
                    m.next = "divide"
            with m.State("divide"):
                m.d.comb += divide.eq(1)
                m.d.sync += position.eq(position + 1)
                with m.If(final):
                    m.next = "idle"
        self._keep(m, quotient.quotients)
        return m

    def _keep(self, m, quotients):
        """Round the quotients into a code buffer and replay it."""
        params = self.params
        layout = self.events.p.shape()
        block_layout = data.StructLayout(
            {name: layout.members[name] for name in ("mantissa", "shift", "code_sum")}
        )
        m.submodules.codes = codes = Memory(
            shape=signed(params.code_width), depth=params.max_inputs, init=[]
        )
        m.submodules.blocks = blocks = Memory(shape=block_layout, depth=params.max_blocks, init=[])
        code_write, block_write = codes.write_port(), blocks.write_port()
        place = quotients.p.place
        magnitude = (quotients.p.quotient + 4) >> QUOTIENT_FRACTION
        code = code_write.data
        stored, total = Signal(range(params.max_inputs + 1)), Signal(signed(params.code_sum_width))
        m.d.comb += [
            code.eq(Mux(quotients.p.negative, -magnitude, magnitude)),
            code_write.addr.eq(stored),
            code_write.en.eq(quotients.valid),
            block_write.addr.eq(stored // BLOCK),
            block_write.data.mantissa.eq(place.mantissa),
            block_write.data.shift.eq(place.shift),
            block_write.data.code_sum.eq(total + code),
            block_write.en.eq(quotients.valid & place.last),
        ]
        with m.If(quotients.valid):
            m.d.sync += [
                stored.eq(stored + 1),
                total.eq(Mux(place.last, 0, total + code)),
                self.encoded.eq(stored + 1 == self.inputs),
            ]
        with m.If(self.start):
            m.d.sync += stored.eq(0)

        code_read, block_read = codes.read_port(), blocks.read_port()
        asked, replays, fetched = Signal(), Signal(), Signal()
        position, row = Signal(range(params.max_inputs)), Signal(range(BLOCK))
        tiles = Signal.like(self.tiles)
        event, advance, final, last, last_block = self.events.p, *(Signal() for _ in range(4))
        m.d.comb += [
            advance.eq(~self.events.valid | self.events.ready),
            final.eq(position + 1 == self.inputs),
            code_read.addr.eq(position),
            block_read.addr.eq(position // BLOCK),
            code_read.en.eq(advance),
            block_read.en.eq(advance),
        ]
        with m.If(self.replay):
            m.d.sync += [asked.eq(1), tiles.eq(self.tiles)]
        with m.If(asked & self.encoded):
            m.d.sync += [asked.eq(0), replays.eq(1), position.eq(0)]
        with m.If(advance):
            m.d.sync += [
                fetched.eq(replays),
                row.eq(position),
                last.eq(final | (position % BLOCK == BLOCK - 1)),
                last_block.eq(position // BLOCK == (self.inputs - 1) // BLOCK),
                self.events.valid.eq(fetched),
                event.row.eq(row),
                event.last.eq(last),
                event.last_block.eq(last_block),
                event.code.eq(code_read.data),
                *(event[name].eq(block_read.data[name]) for name in block_layout.members),
            ]
            with m.If(replays):
                m.d.sync += position.eq(Mux(final, 0, position + 1))
                with m.If(final):
                    m.d.sync += [tiles.eq(tiles - 1), replays.eq(tiles != 1)]
