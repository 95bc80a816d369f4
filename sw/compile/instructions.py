"""Writes instructions of a device program, one behind the other (``docs/program.md``).

They wait for what :mod:`sw.compile.hazards` says, so what may run beside others is decided by their
order: a LOAD stands where its words have become free, behind the instruction that began last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from hw.spec.program import Index, Instruction, Opcode
from hw.spec.registers import REGISTERS
from hw.spec.scales import SCALE_FRACTION
from sw.compile.hazards import with_waits
from sw.compile.tables import PlacedMatrix
from sw.convert.container import ConvertedModel
from sw.convert.encoder import ConvertedEncoder
from sw.golden.linear import input_site

#: Part of the shifts that a multiplier of 16 bits and the scales' fraction bits make.
SCALED = 15 + SCALE_FRACTION


class Instructions:
    """Instructions for one model on one core, whatever they make.

    Parameters
    ----------
    model : ConvertedModel or ConvertedEncoder
        What to run.
    params : CoreParams
        The core.
    table : str
        Code table.

    Attributes
    ----------
    batch : int
        Most vectors of an instruction.
    table : CodeTable
        Code table.
    tables : object
        Where matrices and tables are; its ``matrices`` are by the converted model's names.
    row_bytes : int
        Bytes of a row of a tile: its 8-bit weights.
    instructions : list of Instruction
        What was written since :meth:`start_anew`; they wait for nothing before :meth:`finish_for`.
    """

    tables: Any

    def __init__(
        self, model: ConvertedModel | ConvertedEncoder, params: CoreParams, *, table: str
    ) -> None:
        self._source, self._params = model, params
        self.batch = params.batch
        self.table: CodeTable = TABLES[table]
        self.row_bytes = W8.outputs(params.tile_lanes)
        self._beat_bytes = params.beat_bits // 8
        self.instructions: list[Instruction] = []

    def start_anew(self) -> None:
        """Forget what was written."""
        self.instructions = []

    def finish_for(self, *positions: int) -> np.ndarray:
        """End the program for such positions; return it as it lies in device memory, uint8."""
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

    def load_embedding(self, codes: int, mantissas: int, exponent: int) -> None:
        """Load the token's row of the embedding, its mantissas and its exponent."""
        matrix: PlacedMatrix = self.tables.matrices["embedding"]
        head_bytes = W8.head_beats(sums=matrix.sums) * self.row_bytes
        self.add(
            Opcode.LOAD,
            target=codes,
            size=1,
            nibbles=1,
            count=matrix.inputs,
            address=matrix.address + head_bytes,
            index=Index.TOKEN,
            shift=self.row_bytes.bit_length() - 1,
            stride_high=matrix.tile_bytes,
            stride_low=1,
            inner=BLOCK,
            inner_stride=self.row_bytes,
            outer_stride=head_bytes + BLOCK * self.row_bytes,
        )
        groups = -(-matrix.inputs // BLOCK)
        self.load(mantissas, self.tables.mantissas, groups, index=Index.TOKEN)
        self.load(exponent, matrix.exponents, 1, index=Index.TOKEN)

    def encode(self, name: str, vector: int, *, uncounted: bool = False) -> None:
        """Encode a vector for a matrix, beside those with lower numbers."""
        inputs = self.tables.matrices[name].inputs
        operands = {"uncounted": 1} if uncounted else {}
        self.add(
            Opcode.ENCODE,
            inputs=inputs,
            vector=vector,
            join=int(vector > 0),
            **self.coding(name),
            **operands,
        )

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
        quantizer = self._source.quantizer(tensor, table.name)
        return REGISTERS["quantizer"].pack(
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent=quantizer.silent_level,
        )


def mode(table: CodeTable, layout: int, *, sums: int = 0, fixed: int = 0) -> int:
    """Return the register value of a mode."""
    return REGISTERS["mode"].pack(table=table.number, format=layout, sums=sums, fixed=fixed)
