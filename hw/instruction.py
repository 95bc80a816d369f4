"""Check of an instruction before it runs."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.csr import register_layout
from hw.compare import above
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

    Members
    -------
    encoding, command : In(struct)
        See :func:`encoding_layout` and :func:`command_layout`; stable from the start on.
    product : In(1)
        Which of both is meant: the command; as stable, from the cycle after the start on.
    error : Out(8)
        The :class:`hw.spec.registers.Error`.
    silent : Out(signed(8))
        Value m - z that silent codes of the command stand for, one cycle later.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "encoding": In(encoding_layout()),
                "command": In(command_layout()),
                "product": In(1),
                "error": Out(8),
                "silent": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        """Compare the fields with the limits, behind three registers."""
        m = Module()
        params, command, product = self._params, self.command, self.product
        # Both are measured, as which is meant would come late, and to so much.
        most_tiles = params.max_outputs // W4.outputs(params.tile_lanes)
        most_wide_tiles = 0
        if params.lanes % W8.lanes_per_output == 0:
            most_wide_tiles = params.max_outputs // W8.outputs(params.tile_lanes)
        wide = most_wide_tiles > 0
        encoded = self._measure(m, "encoding", self.encoding, self.encoding.vector, wide=wide)
        multiplied = self._measure(m, "command", command, command.last, wide=wide)
        judged = Signal.like(encoded)
        m.d.sync += judged.eq(Mux(product, multiplied, encoded))

        # Both factors fit, or the instruction is refused for its inputs or outputs.
        span = Signal(range(params.max_blocks * W4.group_beats(sums=True) + 1))
        tiles = Signal(max(most_tiles, most_wide_tiles).bit_length())
        tile, tight = Signal.like(span), Signal()  # of what is encoded: needs a tile alone
        behind = Signal(signed(WORD + 1))
        needed = Signal(len(span) + len(tiles) + params.sub_tiles.bit_length())
        most, many, misplaced = Signal(16), Signal(), Signal()
        m.d.sync += [
            tiles.eq(command.tiles),
            behind.eq(params.memory_beats - command.weight_base),
            tile.eq(encoded.blocks * encoded.beats),
            tight.eq(tile * params.sub_tiles > params.memory_beats),
            span.eq(multiplied.blocks * multiplied.beats),
            needed.eq(span * tiles * params.sub_tiles),
            most.eq(Mux(command.mode.format, most_wide_tiles, most_tiles)),
            many.eq((command.tiles == 0) | (command.tiles > most)),
            misplaced.eq(command.weight_base % params.alignment != 0),
        ]
        if params.batch > 1:
            more, vectors = Signal(VECTOR_BITS), Signal(VECTOR_BITS + 1)
            wanted = Signal(len(tiles) + len(vectors))
            m.d.sync += [
                more.eq(command.last - command.first),
                vectors.eq(more + 1),
                wanted.eq(tiles * vectors),
            ]
            many |= wanted > most

        with m.If(~judged.known):
            m.d.sync += self.error.eq(Error.MODE)
        with m.Elif(judged.unfit):
            m.d.sync += self.error.eq(Error.INPUTS)
        with m.Elif(product & many):
            m.d.sync += self.error.eq(Error.OUTPUTS)
        with m.Elif(Mux(product, misplaced | above(Cat(needed, Const(0)), behind), tight)):
            m.d.sync += self.error.eq(Error.MEMORY)
        with m.Else():
            m.d.sync += self.error.eq(Error.NONE)
        return m

    def _measure(self, m, name, fields, vector, *, wide) -> Signal:
        """Return a register: is the mode known; do the inputs not fit; blocks, beats of each."""
        params, mode = self._params, fields.mode
        measured = Signal(
            data.StructLayout(
                {
                    "known": 1,
                    "unfit": 1,
                    "blocks": range(params.max_blocks + 1),
                    "beats": range(W4.group_beats(sums=True) + 1),
                }
            ),
            name=f"{name}_measured",
        )
        known = self._judge_table(m, fields, silent=self.silent if name == "command" else None)
        if not wide:
            known &= ~mode.format
        if params.batch > 1:
            known &= vector < params.batch
        head = Mux(mode.format, W8.scale_beats, W4.scale_beats) + Mux(mode.sums, SUM_BEATS, 0)
        m.d.sync += [
            measured.known.eq(known),
            measured.unfit.eq((fields.inputs == 0) | (fields.inputs > params.max_inputs)),
            measured.blocks.eq((fields.inputs + BLOCK - 1) // BLOCK),
            measured.beats.eq(head + BLOCK),
        ]
        return measured

    def _judge_table(self, m, fields, *, silent):
        """Tell whether there is such a table, and whether mode and silent level suit it."""
        suits, value = Signal(), Signal(signed(8))
        mode, silent_level = fields.mode, fields.quantizer.silent
        with m.Switch(mode.table):
            for table in (TABLES[name] for name in SUPPORTED_TABLES):
                level = silent_level == table.silent_level
                if table.masked:
                    level = silent_level <= table.highest
                unscaled = mode.codes | mode.fixed
                suitable = ~unscaled if table.zero else 1 if table.linear else unscaled
                with m.Case(table.number):
                    m.d.comb += suits.eq(level & suitable)
                    m.d.sync += value.eq(silent_level - table.zero)
        if silent is not None:
            m.d.comb += silent.eq(value)
        return suits & (mode.sums | (value == 0))
