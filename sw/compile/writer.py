"""Writes instructions of a decoder's program, one behind the other (``docs/program.md``)."""

from __future__ import annotations

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Index, Opcode
from sw.compile.instructions import SCALED, Instructions
from sw.compile.tables import Chunk, Tables
from sw.compile.vector_layout import VectorLayout
from sw.convert.container import ConvertedModel
from sw.golden.vector import Norm


class Writer(Instructions):
    """Instructions that multiply, normalize and load, for one model on one core.

    Parameters
    ----------
    model : ConvertedModel
        What to run.
    params : CoreParams
        The core.
    table : str
        Code table.
    vectors : VectorLayout
        Where vectors are.
    context : int
        Most tokens.

    Attributes
    ----------
    model, vectors
        As given.
    tables : Tables
        Where matrices and tables are.
    tokens : int
        Tokens that the program makes at once.
    """

    def __init__(
        self,
        model: ConvertedModel,
        params: CoreParams,
        *,
        table: str,
        vectors: VectorLayout,
        context: int,
    ) -> None:
        super().__init__(model, params, table=table)
        self.model, self.vectors, self._context = model, vectors, context
        self._norms = {
            name: Norm.of(
                gamma,
                fraction,
                epsilon=model.config.norm_epsilon,
                fraction=model.residual_fraction,
            )
            for name, (gamma, fraction) in model.norms.items()
        }

    def begin(self, tables: Tables, *, tokens: int = 1) -> None:
        """Begin a program for so many tokens on matrices and tables that lie there."""
        self.tables, self.tokens = tables, tokens
        self.start_anew()

    def finish(self) -> np.ndarray:
        """End the program; return it as it lies in device memory, uint8."""
        return self.finish_for(0, self._context - self.tokens)

    def load_gains(self, norm: str) -> None:
        """Load the gains of a norm."""
        self.load(self.vectors.gains, self.tables.gains[norm], self.model.config.width, size=2)

    def load_exponents(self, name: str, *, first: int = 0, end: int | None = None) -> None:
        """Load the exponents of rows of a layer's matrix; of the head, of its first chunk."""
        if name == "head":
            self.load_chunk(0)
            return
        matrix = self.tables.matrices[name]
        count = (matrix.rows if end is None else end) - first
        if count:
            self.load(self.exponents(name) + first, matrix.exponents + first, count)

    def load_chunk(self, chunk: int) -> None:
        """Load the row exponents of a chunk of the head, in turns to two regions."""
        first, count = self.chunks("head")[chunk]
        address = self.tables.matrices["head"].exponents + first
        self.load(self.vectors.head_exponents[chunk % 2], address, count)

    def load_rotary(self) -> None:
        """Load the rotary tables of the positions of all tokens."""
        vectors, pairs = self.vectors, self.model.config.head_width // 2
        place = vectors.rotary
        for token in range(self.tokens):
            for address in (self.tables.cosines, self.tables.sines):
                self.load(place, address, pairs, size=2, index=Index.POSITION, ahead=token)
                place += vectors.rotary_stride

    def exponents(self, name: str) -> int:
        """Return where the row exponents of a layer's matrix are."""
        into_residual = name.endswith(("attn_output", "ffn_down"))
        vectors = self.vectors
        return vectors.residual_exponents if into_residual else vectors.work_exponents

    def norm(self, name: str, matrix: str, *, only: int | None = None) -> None:
        """Normalize the residuals and encode them for a matrix; of one token, if it is named."""
        norm, vectors = self._norms[name], self.vectors
        for vector, token in enumerate(range(self.tokens) if only is None else [only]):
            self.add(
                Opcode.NORM,
                a=vectors.residual + token * vectors.residual_stride,
                b=vectors.gains,
                count=self.model.config.width,
                vector=vector,
                multiplier=norm.root.mantissa,
                epsilon_low=norm.epsilon & 0xFFFFFFFF,
                epsilon_high=norm.epsilon >> 32,
            )
            self.encode(matrix, vector)

    def norm_constant(self, name: str, fraction: int) -> int:
        """Return the shift's constant for results with so many fraction bits (§6, §11)."""
        norm = self._norms[name]
        return SCALED + norm.gamma_fraction - fraction - norm.root.exponent

    def chunks(self, name: str, *, first: int = 0, end: int | None = None) -> list[Chunk]:
        """First row and count of a matrix's runs of whole tiles that one instruction takes."""
        vectors = 1 if name == "head" else self.tokens
        most = self._params.max_outputs // vectors
        return self.tables.matrices[name].chunks(most, first=first, end=end)
