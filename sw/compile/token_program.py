"""Writes the instructions of one token (``docs/program.md``, arithmetic.md §12).

LOADs run beside the instruction before them and must not write what that one reads or writes. So
row exponents of consecutive matrices alternate between two regions of vector memory, and a matrix's
exponents and the gains before it are loaded while the preceding matrix is multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.codes import BLOCK, TABLES
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Instruction, Opcode
from hw.spec.registers import REGISTERS
from hw.spec.scales import SCALE_FRACTION
from sw.compile.cache_layout import HeadCaches
from sw.compile.tables import Tables
from sw.compile.vector_layout import VectorLayout
from sw.convert.container import ConvertedModel
from sw.golden.attention import (
    CONTEXT_SHIFT,
    SCORE_FRACTION,
    probability_table,
    query_table,
    score_scale,
)
from sw.golden.integers import FRACTION, LOGIT_FRACTION
from sw.golden.linear import input_site
from sw.golden.vector import Norm

#: Part of the shifts that a multiplier of 16 bits and the scales' fraction bits make.
_SCALED = 15 + SCALE_FRACTION


class TokenProgram:
    """Instructions that make one token at any position.

    Parameters
    ----------
    model : ConvertedModel
        What to run.
    params : CoreParams
        The core.
    table : str
        Code table.
    tables : Tables
        Where matrices and tables are.
    caches : sequence of sequence of HeadCaches
        Caches of every layer and key head.
    vectors : VectorLayout
        Where vectors are.
    context : int
        Most tokens.

    Attributes
    ----------
    instructions : list of Instruction
        In order, END included.
    """

    def __init__(
        self,
        model: ConvertedModel,
        params: CoreParams,
        *,
        table: str,
        tables: Tables,
        caches: Sequence[Sequence[HeadCaches]],
        vectors: VectorLayout,
        context: int,
    ) -> None:
        self._model, self._params, self._table = model, params, TABLES[table]
        self._tables, self._caches, self._vectors = tables, caches, vectors
        self._context = context
        self._parity = 1
        self.instructions: list[Instruction] = []
        self._write()

    def _write(self) -> None:
        layers = self._model.config.layers
        self._embed()
        self._load_before("layers.0.attn_norm", "layers.0.qkv")
        for layer in range(layers):
            self._attention(layer)
            following = f"layers.{layer + 1}."
            if layer + 1 < layers:
                self._feed_forward(layer, f"{following}attn_norm", f"{following}qkv")
            else:
                self._feed_forward(layer, "output_norm", "head")
        self._head()
        self._add(Opcode.END)

    def _embed(self) -> None:
        """Load the token's row of the embedding, and the rotary tables of its position."""
        matrix, vectors = self._tables.matrices["embedding"], self._vectors
        row_bytes = W8.outputs(self._params.tile_lanes)
        width, groups = matrix.inputs, -(-matrix.inputs // BLOCK)
        head_bytes = W8.head_beats(sums=matrix.sums) * row_bytes
        # Each has a region that is free until the first layer.
        mantissas, exponent = vectors.exponents[1], vectors.scores
        self._add(
            Opcode.LOAD,
            target=vectors.work,
            size=1,
            nibbles=1,
            count=width,
            address=matrix.address + head_bytes,
            index=Index.TOKEN,
            shift=row_bytes.bit_length() - 1,
            stride_high=matrix.tile_bytes,
            stride_low=1,
            inner=BLOCK,
            inner_stride=row_bytes,
            outer_stride=head_bytes + BLOCK * row_bytes,
        )
        self._load(mantissas, self._tables.mantissas, groups, index=Index.TOKEN)
        self._load(exponent, matrix.exponents, 1, index=Index.TOKEN)
        fraction = self._model.residual_fraction
        self._add(
            Opcode.EMBED,
            a=vectors.work,
            b=mantissas,
            c=exponent,
            target=vectors.residual,
            count=width,
            constant=fraction,
        )
        pairs = self._model.config.head_width // 2
        rotary = {"size": 2, "index": Index.POSITION}
        self._load(vectors.cosines, self._tables.cosines, pairs, **rotary)
        self._load(vectors.sines, self._tables.sines, pairs, **rotary)

    def _attention(self, layer: int) -> None:
        c, prefix, vectors = self._model.config, f"layers.{layer}.", self._vectors
        self._norm(f"{prefix}attn_norm")
        self._project(f"{prefix}attn_norm", f"{prefix}qkv")
        self._load_before(None, f"{prefix}attn_output")
        self._add(
            Opcode.ROTATE,
            a=vectors.work,
            b=vectors.sines,
            c=vectors.cosines,
            count=c.heads + c.kv_heads,
            inner=c.head_width // 2,
            interleaved=int(c.rope_interleaved),
        )
        heads = [vectors.work + i * c.head_width for i in range(c.heads + 2 * c.kv_heads)]
        queries, keys, values = heads[: c.heads], heads[c.heads :], heads[c.heads + c.kv_heads :]
        for cache, key, value in zip(self._caches[layer], keys, values, strict=False):
            self._add(Opcode.KEEP, a=key, count=c.head_width, **cache.keep_key())
            self._add(Opcode.KEEP, a=value, count=c.head_width, **cache.keep_value())
        shared = c.heads // c.kv_heads
        for i, query in enumerate(queries):
            self._attend(layer, self._caches[layer][i // shared], query, first=i % shared == 0)
        self._add(Opcode.NORMALIZE, a=vectors.work, count=c.heads * c.head_width)
        self._accumulate(f"{prefix}attn_output", FRACTION)

    def _attend(self, layer: int, cache: HeadCaches, query: int, *, first: bool) -> None:
        """Put a head's context in place of its query; the first one loads the caches' scales."""
        vectors, head_width, shape = self._vectors, self._model.config.head_width, cache.shape
        self._add(Opcode.NORMALIZE, a=query, count=head_width)
        if first:
            self._load_scales(vectors.key_scales, cache.key_scales)
        multiplier, exponent = score_scale(head_width)
        self._add(
            Opcode.MATVEC,
            inputs=head_width,
            tiles_by_position=1,
            shift=shape.shift,
            mode=self._mode(query_table(self._table).number, W8.number),
            quantizer=self._quantizer(f"layers.{layer}.query", query_table(self._table).name),
            weight_base=self._beat(cache.keys),
            drain=Drain.SCORES,
            b=vectors.key_scales,
            target=vectors.scores,
            count_by_position=1,
            constant=2 * FRACTION + SCALE_FRACTION - SCORE_FRACTION - exponent,
            multiplier=multiplier,
        )
        if first:
            self._load_scales(vectors.value_scales, cache.value_scales)
        self._add(Opcode.SOFTMAX, a=vectors.scores, b=vectors.value_scales, count_by_position=1)
        table = probability_table(self._table)
        for tile in range(shape.value_tiles):
            channel = tile * shape.row_bytes
            self._add(
                Opcode.MATVEC,
                inputs_by_position=1,
                tiles=1,
                mode=self._mode(table.number, W8.number, fixed=1),
                quantizer=self._quantizer(f"layers.{layer}.probability", table.name),
                weight_base=self._beat(cache.values + tile * shape.value_tile_bytes),
                reuse=int(tile > 0),
                drain=Drain.CONTEXT,
                target=query + channel,
                count=min(shape.row_bytes, head_width - channel),
                constant=CONTEXT_SHIFT,
            )

    def _feed_forward(self, layer: int, norm: str, following: str) -> None:
        """Write the second half of a layer, loading for the norm and matrix that follow."""
        prefix, vectors = f"layers.{layer}.", self._vectors
        ffn_width = self._model.config.ffn_width
        self._load_before(f"{prefix}ffn_norm", f"{prefix}gate_up")
        self._norm(f"{prefix}ffn_norm")
        self._project(f"{prefix}ffn_norm", f"{prefix}gate_up")
        self._load_before(None, f"{prefix}ffn_down")
        self._add(Opcode.GATE, a=vectors.work, b=vectors.work + ffn_width, count=ffn_width)
        self._accumulate(f"{prefix}ffn_down", 2 * FRACTION)
        self._load_before(norm, following)

    def _head(self) -> None:
        self._norm("output_norm")
        constant = self._norm_constant("output_norm", LOGIT_FRACTION)
        chunks = self._tables.matrices["head"].chunks(self._params.max_outputs)
        for i, (first, count) in enumerate(chunks):
            if i:
                self._load_before(None, "head", first=first)
            self._matvec(
                "head",
                first,
                count,
                drain=Drain.LOGITS,
                final=int(first + count == self._tables.matrices["head"].rows),
                b=self._exponents,
                constant=constant,
            )

    def _norm(self, name: str) -> None:
        vectors, norm = self._vectors, self._of(name)
        self._add(
            Opcode.NORM,
            a=vectors.residual,
            b=vectors.gains,
            count=self._model.config.width,
            multiplier=norm.root.mantissa,
            epsilon_low=norm.epsilon & 0xFFFFFFFF,
            epsilon_high=norm.epsilon >> 32,
        )

    def _project(self, norm: str, name: str) -> None:
        """Multiply behind a norm, into words."""
        constant = self._norm_constant(norm, FRACTION)
        for first, count in self._tables.matrices[name].chunks(self._params.max_outputs):
            place = {"b": self._exponents + first, "target": self._vectors.work + first}
            self._matvec(name, first, count, drain=Drain.NORMED, constant=constant, **place)

    def _accumulate(self, name: str, fraction: int) -> None:
        """Multiply a vector of so many fraction bits and add the result to the residual."""
        constant = _SCALED + fraction - self._model.residual_fraction
        for first, count in self._tables.matrices[name].chunks(self._params.max_outputs):
            residual = self._vectors.residual + first
            place = {"a": residual, "b": self._exponents + first, "target": residual}
            self._matvec(name, first, count, drain=Drain.RESIDUAL, constant=constant, **place)

    def _matvec(self, name: str, first: int, count: int, **operands: int) -> None:
        matrix = self._tables.matrices[name]
        tile = first // matrix.tile_rows
        self._add(
            Opcode.MATVEC,
            inputs=matrix.inputs,
            tiles=-(-count // matrix.tile_rows),
            mode=self._mode(self._table.number, matrix.format.number, sums=int(matrix.sums)),
            quantizer=self._quantizer(input_site(name), self._table.name),
            weight_base=self._beat(matrix.address + tile * matrix.tile_bytes),
            reuse=int(first > 0),
            count=count,
            **operands,
        )

    def _load_before(self, norm: str | None, name: str, *, first: int = 0) -> None:
        """Load the gains of a norm, if any, and the exponents of the matrix behind it."""
        if norm:
            gains = self._tables.gains[norm]
            self._load(self._vectors.gains, gains, self._model.config.width, size=2)
        matrix, self._parity = self._tables.matrices[name], 1 - self._parity
        count = matrix.rows
        if name == "head":
            count = dict(matrix.chunks(self._params.max_outputs))[first]
        self._load(self._exponents, matrix.exponents + first, count)

    @property
    def _exponents(self) -> int:
        """Region of the exponents that were loaded last."""
        return self._vectors.exponents[self._parity]

    def _load(
        self, target: int, address: int, count: int, *, size: int = 1, index: Index = Index.NONE
    ) -> None:
        """Load neighbouring numbers; those of one index follow those of the one before."""
        moving = {"index": index, "stride_high": size * count} if index else {}
        self._add(
            Opcode.LOAD,
            target=target,
            size=size,
            count=count,
            address=address,
            inner=count,
            inner_stride=size,
            **moving,
        )

    def _load_scales(self, target: int, address: int) -> None:
        run = {"inner": self._context, "inner_stride": 2}
        self._add(Opcode.LOAD, target=target, size=2, count_by_position=1, address=address, **run)

    def _add(self, opcode: Opcode, **operands: int) -> None:
        self.instructions.append(Instruction(opcode, operands))

    def _of(self, norm: str) -> Norm:
        model = self._model
        gamma, gamma_fraction = model.norms[norm]
        return Norm.of(
            gamma,
            gamma_fraction,
            epsilon=model.config.norm_epsilon,
            fraction=model.residual_fraction,
        )

    def _norm_constant(self, norm: str, fraction: int) -> int:
        return _SCALED + self._of(norm).gamma_fraction - fraction - self._of(norm).root.exponent

    def _beat(self, address: int) -> int:
        return address // (self._params.beat_bits // 8)

    def _mode(self, table: int, layout: int, *, sums: int = 0, fixed: int = 0) -> int:
        return REGISTERS["mode"].pack(table=table, format=layout, sums=sums, fixed=fixed)

    def _quantizer(self, tensor: str, table: str) -> int:
        quantizer = self._model.quantizer(tensor, table)
        return REGISTERS["quantizer"].pack(
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent=quantizer.silent_level,
        )
