"""Check of an instruction before it runs."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.csr import register_layout
from hw.encode.vector_encoder import SUPPORTED_TABLES
from hw.spec.codes import BLOCK, TABLES
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import VECTOR_BITS, CoreParams
from hw.spec.registers import REGISTERS, Error

WORD = 32


def _mode_layouts() -> dict[str, data.StructLayout]:
    return {name: register_layout(REGISTERS[name]) for name in ("mode", "quantizer")}


def encoding_layout() -> data.StructLayout:
    """Return the layout of what is to be encoded: fields of registers, or of an instruction.

    Members
    -------
    inputs, mode, quantizer
        As the registers.
    vector : unsigned(6)
        Number under which its events are kept.
    join, bank : unsigned(1)
        Where its rows are marked; see :class:`hw.synapse.row_masks.RowMasks`.
    """
    return data.StructLayout(
        {"inputs": 16, **_mode_layouts(), "vector": VECTOR_BITS, "join": 1, "bank": 1}
    )


def command_layout() -> data.StructLayout:
    """Return the layout of what is to be multiplied: fields of registers, or of an instruction.

    Members
    -------
    inputs, tiles, weight_base, mode, quantizer
        As the registers.
    first, last : unsigned(6)
        Numbers of the first vector and of the last.
    bank : unsigned(1)
        Where their rows are marked.
    """
    vectors = dict.fromkeys(("first", "last"), VECTOR_BITS)
    shape = {"inputs": 16, "tiles": 16, "weight_base": 32}
    return data.StructLayout({**shape, **_mode_layouts(), **vectors, "bank": 1})


class InstructionCheck(wiring.Component):
    """Says why an instruction cannot run, :data:`hw.spec.cycles.CHECK` cycles after its start.

    The mode is judged first, because the other limits depend on it.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    inputs, tiles, weight_base, table, wide, codes, fixed, sums, vector, silent_level
        Fields of the instruction's registers.
    more : In
        Vectors that are multiplied beside that one. Both only where ``batch`` is above 1.
    error : Out(8)
        The :class:`hw.spec.registers.Error`.
    silent : Out(signed(8))
        Value m - z that silent codes stand for, one cycle later.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "inputs": In(16),
                "tiles": In(16),
                "weight_base": In(WORD),
                "table": In(4),
                "wide": In(1),
                "codes": In(1),
                "fixed": In(1),
                "sums": In(1),
                **(dict.fromkeys(("vector", "more"), In(VECTOR_BITS)) if params.batch > 1 else {}),
                "silent_level": In(8),
                "error": Out(8),
                "silent": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        """Compare the fields with the limits, behind three registers."""
        m = Module()
        params = self._params
        most_tiles = params.max_outputs // W4.outputs(params.tile_lanes)
        most_wide_tiles = 0
        if params.lanes % W8.lanes_per_output == 0:
            most_wide_tiles = params.max_outputs // W8.outputs(params.tile_lanes)

        known_format = ~self.wide if most_wide_tiles == 0 else 1
        known = Signal()
        m.d.sync += known.eq(self._judge_table(m) & known_format)
        head = Mux(self.wide, W8.scale_beats, W4.scale_beats) + Mux(self.sums, SUM_BEATS, 0)

        # Both factors fit, or the instruction is refused for its inputs or outputs.
        blocks = Signal(range(params.max_blocks + 1))
        span = Signal(range(params.max_blocks * W4.group_beats(sums=True) + 1))
        tiles = Signal(max(most_tiles, most_wide_tiles).bit_length())
        beats = Signal(range(W4.group_beats(sums=True) + 1))
        room = Signal(signed(WORD + 1))
        needed = Signal(len(span) + len(tiles) + params.sub_tiles.bit_length())
        most, many = Signal(16), Signal()
        unfit, misplaced = Signal(), Signal()
        m.d.sync += [
            blocks.eq((self.inputs + BLOCK - 1) >> 5),
            tiles.eq(self.tiles),
            beats.eq(head + BLOCK),
            room.eq(params.memory_beats - self.weight_base),
            span.eq(blocks * beats),
            needed.eq(span * tiles * params.sub_tiles),
            most.eq(Mux(self.wide, most_wide_tiles, most_tiles)),
            many.eq((self.tiles == 0) | (self.tiles > most)),
            unfit.eq((self.inputs == 0) | (self.inputs > params.max_inputs)),
            misplaced.eq(self.weight_base % params.alignment != 0),
        ]

        several = Const(1)
        if params.batch > 1:
            encodable, more = Signal(), Signal.like(self.more)
            wanted = Signal(len(tiles) + VECTOR_BITS + 1)
            m.d.sync += [
                encodable.eq(self.vector < params.batch),
                more.eq(self.more),
                wanted.eq(tiles * (more + 1)),
            ]
            several = encodable
            many |= wanted > most
        with m.If(~(known & several)):
            m.d.sync += self.error.eq(Error.MODE)
        with m.Elif(unfit):
            m.d.sync += self.error.eq(Error.INPUTS)
        with m.Elif(many):
            m.d.sync += self.error.eq(Error.OUTPUTS)
        with m.Elif(misplaced | (needed > room)):
            m.d.sync += self.error.eq(Error.MEMORY)
        with m.Else():
            m.d.sync += self.error.eq(Error.NONE)
        return m

    def _judge_table(self, m):
        """Tell whether there is such a table, and whether mode and silent level suit it."""
        suits = Signal()
        with m.Switch(self.table):
            for table in (TABLES[name] for name in SUPPORTED_TABLES):
                level = self.silent_level == table.silent_level
                if table.masked:
                    level = self.silent_level <= table.highest
                unscaled = self.codes | self.fixed
                mode = ~unscaled if table.zero else 1 if table.linear else unscaled
                with m.Case(table.number):
                    m.d.comb += suits.eq(level & mode)
                    m.d.sync += self.silent.eq(self.silent_level - table.zero)
        return suits & (self.sums | (self.silent == 0))
