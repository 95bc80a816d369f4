"""Writes instructions of a device program, one behind the other (``docs/program.md``).

They wait for what :mod:`sw.compile.hazards` says, so what may run beside others is decided by their
order: a LOAD stands where its words have become free, behind the instruction that began last.
"""

from __future__ import annotations

import numpy as np

from hw.spec.codes import TABLES, CodeTable
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from hw.spec.program import Index, Instruction, Opcode
from hw.spec.registers import REGISTERS
from hw.spec.scales import SCALE_FRACTION
from sw.compile.hazards import with_waits
from sw.compile.tables import Chunk, Tables
from sw.compile.vector_layout import VectorLayout
from sw.convert.container import ConvertedModel
from sw.golden.linear import input_site
from sw.golden.vector import Norm

#: Part of the shifts that a multiplier of 16 bits and the scales' fraction bits make.
SCALED = 15 + SCALE_FRACTION


class Writer:
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
    batch : int
        Most vectors of an instruction.
    table : CodeTable
        Code table.
    tables : Tables
        Where matrices and tables are.
    tokens : int
        Tokens that the program makes at once.
    row_bytes : int
        Bytes of a row of a tile: its 8-bit weights.
    instructions : list of Instruction
        What was written since :meth:`begin`; they wait for nothing before :meth:`finish`.
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
        self.model, self.vectors, self._params = model, vectors, params
        self.batch, self._context = params.batch, context
        self.table: CodeTable = TABLES[table]
        self.row_bytes = W8.outputs(params.tile_lanes)
        self._beat_bytes = params.beat_bits // 8
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
        self.instructions: list[Instruction] = []

    def finish(self) -> np.ndarray:
        """End the program; return it as it lies in device memory, uint8."""
        positions = 0, self._context - self.tokens
        self.instructions = with_waits(self.instructions, self._params, positions=positions)
        self.add(Opcode.END)
        octets = b"".join(instruction.encode() for instruction in self.instructions)
        return np.frombuffer(octets, np.uint8)

    def add(self, opcode: Opcode, **operands: int) -> None:
        """Append an instruction."""
        self.instructions.append(Instruction(opcode, operands))

    def load(self, target: int, address: int, count: int, **operands: int) -> None:
        """Load neighbouring numbers, bytes if no ``size`` is given.

        With an ``index`` those of one number follow those of the one before.
        """
        size = operands.setdefault("size", 1)
        if "index" in operands:
            operands["stride_high"] = size * count
        run = {"count": count, "inner": count, "inner_stride": size}
        self.add(Opcode.LOAD, target=target, address=address, **run, **operands)

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

    def encode(self, name: str, vector: int) -> None:
        """Encode a vector for a matrix, beside those with lower numbers."""
        inputs = self.tables.matrices[name].inputs
        self.add(
            Opcode.ENCODE, inputs=inputs, vector=vector, join=int(vector > 0), **self.coding(name)
        )

    def norm_constant(self, name: str, fraction: int) -> int:
        """Return the shift's constant for results with so many fraction bits (§6, §11)."""
        norm = self._norms[name]
        return SCALED + norm.gamma_fraction - fraction - norm.root.exponent

    def chunks(self, name: str, *, first: int = 0, end: int | None = None) -> list[Chunk]:
        """First row and count of a matrix's runs of whole tiles that one instruction takes."""
        vectors = 1 if name == "head" else self.tokens
        most = self._params.max_outputs // vectors
        return self.tables.matrices[name].chunks(most, first=first, end=end)

    def coding(self, name: str) -> dict[str, int]:
        """Return the operands by which a matrix's vectors are encoded."""
        matrix = self.tables.matrices[name]
        return {
            "mode": mode(self.table, matrix.format.number, sums=int(matrix.sums)),
            "quantizer": self.quantizer(input_site(name), self.table),
        }

    def beat(self, address: int) -> int:
        """Beat of a byte address."""
        return address // self._beat_bytes

    def quantizer(self, tensor: str, table: CodeTable) -> int:
        """Return the register value of a tensor's quantizer."""
        quantizer = self.model.quantizer(tensor, table.name)
        return REGISTERS["quantizer"].pack(
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent=quantizer.silent_level,
        )


def mode(table: CodeTable, layout: int, *, sums: int = 0, fixed: int = 0) -> int:
    """Return the register value of a mode."""
    return REGISTERS["mode"].pack(table=table.number, format=layout, sums=sums, fixed=fixed)
