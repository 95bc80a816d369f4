"""Writes instructions of an encoder's program (``docs/arithmetic.md`` §15)."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Drain, Opcode
from sw.compile.encoder_layout import EncoderLayout
from sw.compile.encoder_tables import EncoderTables
from sw.compile.instructions import SCALED, Instructions
from sw.compile.tables import Chunk
from sw.convert.encoder import ConvertedEncoder, FixedPoint
from sw.golden.encoder_vector import LayerNorm
from sw.golden.integers import FRACTION

#: Norms of a layer, in the order of their regions.
NORMS = "attn_norm", "ffn_norm"


class EncoderWriter(Instructions):
    """Instructions of one sentence length.

    Parameters
    ----------
    model : ConvertedEncoder
        What to run.
    params : CoreParams
        The core.
    table : str
        Code table.
    tables : EncoderTables
        Where matrices and vectors are.
    vectors : EncoderLayout
        Where the words of the sentence are.

    Attributes
    ----------
    model, tables, vectors
        As given.
    fraction : int
        Fraction bits RF of the residuals.
    """

    tables: EncoderTables

    def __init__(
        self,
        model: ConvertedEncoder,
        params: CoreParams,
        *,
        table: str,
        tables: EncoderTables,
        vectors: EncoderLayout,
    ) -> None:
        super().__init__(model, params, table=table)
        self.model, self.tables, self.vectors = model, tables, vectors
        self.fraction = model.residual_fraction
        self._norms = {
            name: LayerNorm.of(
                *gains,
                model.betas[name],
                epsilon=model.config.norm_epsilon,
                fraction=self.fraction,
            )
            for name, gains in model.norms.items()
        }

    def chunks(self) -> list[range]:
        """Tokens of the sentence that are vectors of the same instructions."""
        tokens = range(self.vectors.tokens)
        step = self.vectors.chunk
        return [tokens[start : start + step] for start in range(0, len(tokens), step)]

    def residual(self, token: int) -> int:
        """Return the address of a token's h."""
        return self.vectors.residual + token * self.vectors.residual_stride

    def work(self, vector: int) -> int:
        """Return the address of q, k and v of a chunk's vector."""
        return self.vectors.work + vector * self.vectors.qkv_stride

    def hidden(self, vector: int) -> int:
        """Return the address of the hidden layer of a chunk's vector."""
        return self.vectors.work + vector * self.vectors.hidden_stride

    def load_rows(self, name: str) -> None:
        """Load the exponents and biases of a matrix's rows."""
        matrix, (exponents, biases) = self.tables.matrices[name], self._rows(name)
        self.load(exponents, matrix.exponents, matrix.rows)
        fraction = self.fraction if _into_residual(name) else FRACTION
        bias = self.model.biases[name]
        self.load_numbers(biases, self.tables.biases[name], matrix.rows, bias, fraction)

    def load_norm(self, name: str) -> None:
        """Load the gains and betas of a norm."""
        gains, betas = self._norm(name)
        width, beta = self.model.config.width, self.model.betas[name]
        self.load(gains, self.tables.gains[name], width, size=2)
        self.load_numbers(betas, self.tables.betas[name], width, beta, self.fraction)

    def load_numbers(
        self, target: int, address: int, count: int, numbers: FixedPoint, fraction: int
    ) -> None:
        """Load numbers of 2 bytes as words with so many fraction bits."""
        self.load(target, address, count, size=2)
        if numbers.fraction < fraction:
            self.add_up(target, target, count, k=numbers.fraction - fraction)

    def add_up(
        self,
        first: int,
        target: int,
        count: int,
        *,
        rows: int = 1,
        stride: int = 0,
        multiplier: int = 1,
        k: int = 0,
    ) -> None:
        """Add up vectors, so many words apart."""
        self.add(
            Opcode.SUM,
            a=first,
            stride=stride,
            inner=rows,
            target=target,
            count=count,
            multiplier=multiplier,
            constant=k,
        )

    def normalize(self, name: str, addresses: Sequence[int], *, uncounted: bool = False) -> None:
        """Normalize words and encode them for a matrix, as vectors from 0 on."""
        count = self.tables.matrices[name].inputs
        for vector, address in enumerate(addresses):
            self.add(Opcode.NORMALIZE, a=address, count=count, vector=vector)
            self.encode(name, vector, uncounted=uncounted)

    def norm(self, name: str, token: int) -> None:
        """Norm a token's h in place."""
        norm, (gains, betas) = self._norms[name], self._norm(name)
        self.add(
            Opcode.LAYER_NORM,
            a=self.residual(token),
            b=gains,
            c=betas,
            target=self.residual(token),
            count=self.model.config.width,
            constant=norm.constant,
            multiplier=norm.root.mantissa,
            epsilon_low=norm.epsilon,
            mean=norm.mean.mantissa,
            mean_shift=-norm.mean.exponent,
        )

    def project(
        self,
        name: str,
        *,
        vectors: int,
        target: int,
        stride: int,
        rows: range | None = None,
    ) -> None:
        """Multiply residuals and add biases; results have F fraction bits.

        Parameters
        ----------
        name : str
            Matrix.
        vectors : int
            So many encoded vectors, from 0 on.
        target, stride : int
            Where row 0 of the first vector's results would go, and from there to the next one's.
        rows : range, optional
            Only these, from the beginning of a tile on; all if absent.
        """
        exponents, biases = self._rows(name)
        for first, count in self._row_chunks(name, vectors, rows):
            self._multiply(
                name,
                (first, count),
                vectors=vectors,
                drain=Drain.BIASED,
                a=biases + first,
                b=exponents + first,
                target=target + first,
                stride=stride,
                constant=SCALED + self.fraction - FRACTION,
            )

    def accumulate(self, name: str, tokens: range) -> None:
        """Multiply vectors with F fraction bits; add biases and results to the tokens' h."""
        exponents, biases = self._rows(name)
        for token in tokens:
            h = self.residual(token)
            self.add_up(h, h, self.model.config.width, rows=2, stride=biases - h)
        for first, count in self._row_chunks(name, len(tokens), None):
            h = self.residual(tokens[0]) + first
            self._multiply(
                name,
                (first, count),
                vectors=len(tokens),
                drain=Drain.RESIDUAL,
                a=h,
                b=exponents + first,
                target=h,
                stride=self.vectors.residual_stride,
                constant=SCALED + FRACTION - self.fraction,
            )

    def _row_chunks(self, name: str, vectors: int, rows: range | None) -> list[Chunk]:
        matrix = self.tables.matrices[name]
        rows = range(matrix.rows) if rows is None else rows
        most = self._params.max_outputs // vectors
        return matrix.chunks(most, first=rows.start, end=rows.stop)

    def _multiply(self, name: str, chunk: Chunk, **operands: int) -> None:
        matrix, (first, count) = self.tables.matrices[name], chunk
        tile = first // matrix.tile_rows
        self.add(
            Opcode.MATVEC,
            inputs=matrix.inputs,
            tiles=-(-count // matrix.tile_rows),
            weight_base=self.beat(matrix.address + tile * matrix.tile_bytes),
            count=count,
            **self.coding(name),
            **operands,
        )

    def _rows(self, name: str) -> tuple[int, int]:
        """Return where the exponents and biases of a matrix are."""
        vectors = self.vectors
        if _into_residual(name):
            return vectors.residual_exponents, vectors.residual_biases
        return vectors.work_exponents, vectors.work_biases

    def _norm(self, name: str) -> tuple[int, int]:
        """Return where the gains and betas of a norm are."""
        place = NORMS.index(name.rsplit(".", 1)[-1]) if "." in name else 0
        return self.vectors.gains[place], self.vectors.betas[place]


def _into_residual(name: str) -> bool:
    return name.endswith(("attn_output", "ffn_down"))
