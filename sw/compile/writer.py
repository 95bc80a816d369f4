"""Writes instructions of a device program, one behind the other (``docs/program.md``).

LOADs run beside the instruction before them and must not write what that one reads or writes. So
the row exponents of consecutive matrices alternate between two regions of vector memory: those of
the next matrix are loaded while the one before is multiplied.
"""

from __future__ import annotations

import numpy as np

from hw.spec.codes import TABLES, CodeTable
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Instruction, Opcode
from hw.spec.registers import REGISTERS
from hw.spec.scales import SCALE_FRACTION
from sw.compile.tables import Tables
from sw.compile.vector_layout import VectorLayout
from sw.convert.container import ConvertedModel
from sw.golden.linear import input_site
from sw.golden.vector import Norm

#: Part of the shifts that a multiplier of 16 bits and the scales' fraction bits make.
_SCALED = 15 + SCALE_FRACTION


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

    Attributes
    ----------
    model, vectors
        As given.
    table : CodeTable
        Code table.
    tables : Tables
        Where matrices and tables are.
    row_bytes : int
        Bytes of a row of a tile: its 8-bit weights.
    instructions : list of Instruction
        What was written since :meth:`begin`.
    """

    def __init__(
        self,
        model: ConvertedModel,
        params: CoreParams,
        *,
        table: str,
        vectors: VectorLayout,
    ) -> None:
        self.model, self.vectors, self._params = model, vectors, params
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

    def begin(self, tables: Tables) -> None:
        """Begin a program on matrices and tables that lie there."""
        self.tables = tables
        self.instructions: list[Instruction] = []
        most = self._params.max_outputs
        self._chunks = {n: m.chunks(most) for n, m in tables.matrices.items()}
        self._parity = 1

    def finish(self) -> np.ndarray:
        """End the program; return it as it lies in device memory, uint8."""
        self.add(Opcode.END)
        octets = b"".join(instruction.encode() for instruction in self.instructions)
        return np.frombuffer(octets, np.uint8)

    @property
    def exponents(self) -> int:
        """Region of the exponents that were loaded last; the next ones go to the other."""
        return self.vectors.exponents[self._parity]

    def add(self, opcode: Opcode, **operands: int) -> None:
        """Append an instruction."""
        self.instructions.append(Instruction(opcode, operands))

    def load(
        self, target: int, address: int, count: int, *, size: int = 1, index: Index = Index.NONE
    ) -> None:
        """Load neighbouring numbers; those of one index follow those of the one before."""
        moving = {"index": index, "stride_high": size * count} if index else {}
        self.add(
            Opcode.LOAD,
            target=target,
            size=size,
            count=count,
            address=address,
            inner=count,
            inner_stride=size,
            **moving,
        )

    def load_gains(self, norm: str) -> None:
        """Load the gains of a norm."""
        self.load(self.vectors.gains, self.tables.gains[norm], self.model.config.width, size=2)

    def load_exponents(self, name: str, chunk: int | None = None) -> None:
        """Load the row exponents of the next matrix, or of one chunk of it."""
        matrix, self._parity = self.tables.matrices[name], 1 - self._parity
        first, count = (0, matrix.rows) if chunk is None else self._chunks[name][chunk]
        self.load(self.exponents, matrix.exponents + first, count)

    def norm(self, name: str) -> None:
        """Normalize the residual; its gains have been loaded."""
        norm = self._norms[name]
        self.add(
            Opcode.NORM,
            a=self.vectors.residual,
            b=self.vectors.gains,
            count=self.model.config.width,
            multiplier=norm.root.mantissa,
            epsilon_low=norm.epsilon & 0xFFFFFFFF,
            epsilon_high=norm.epsilon >> 32,
        )

    def norm_constant(self, name: str, fraction: int) -> int:
        """Return the shift's constant for results with so many fraction bits (§6, §11)."""
        norm = self._norms[name]
        return _SCALED + norm.gamma_fraction - fraction - norm.root.exponent

    def project(self, name: str, *, norm: str, fraction: int) -> None:
        """Multiply behind a norm, into the work region."""
        for chunk, (first, _) in enumerate(self._chunks[name]):
            self._matvec(
                name,
                chunk,
                drain=Drain.NORMED,
                b=self.exponents + first,
                target=self.vectors.work + first,
                constant=self.norm_constant(norm, fraction),
            )

    def accumulate(self, name: str, *, fraction: int) -> None:
        """Multiply a vector with so many fraction bits and add to the residual (§11)."""
        for chunk, (first, _) in enumerate(self._chunks[name]):
            residual = self.vectors.residual + first
            self._matvec(
                name,
                chunk,
                drain=Drain.RESIDUAL,
                a=residual,
                b=self.exponents + first,
                target=residual,
                constant=_SCALED + fraction - self.model.residual_fraction,
            )

    def choose(self, name: str, *, norm: str, fraction: int) -> None:
        """Multiply behind a norm and keep the largest results; the first exponents are loaded."""
        last = len(self._chunks[name]) - 1
        for chunk in range(last + 1):
            if chunk:
                self.load_exponents(name, chunk)
            self._matvec(
                name,
                chunk,
                drain=Drain.LOGITS,
                final=int(chunk == last),
                b=self.exponents,
                constant=self.norm_constant(norm, fraction),
            )

    def _matvec(self, name: str, chunk: int, **operands: int) -> None:
        """Multiply some tiles; the vector is encoded for the first."""
        matrix, (first, count) = self.tables.matrices[name], self._chunks[name][chunk]
        tile = first // matrix.tile_rows
        self.add(
            Opcode.MATVEC,
            inputs=matrix.inputs,
            tiles=-(-count // matrix.tile_rows),
            mode=mode(self.table, matrix.format.number, sums=int(matrix.sums)),
            quantizer=self.quantizer(input_site(name), self.table),
            weight_base=self.beat(matrix.address + tile * matrix.tile_bytes),
            reuse=int(chunk > 0),
            count=count,
            **operands,
        )

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
