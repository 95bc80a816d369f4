"""The matrix-vector instruction on weights that lie in device memory (``docs/registers.md``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.formats import FORMATS, WeightFormat
from hw.spec.params import CoreParams
from hw.spec.registers import Error
from sw.golden.codes import Encoded, encode, from_codes, with_fixed_scale
from sw.golden.counters import fetch_counters, memory_counters
from sw.golden.tiles import read_tiles, tile_beats

#: Fields of a register, as :meth:`hw.spec.registers.Register.unpack` gives them.
Fields = Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixInstruction:
    """What the registers ``shape``, ``weight_base``, ``mode`` and ``quantizer`` hold.

    Attributes
    ----------
    inputs, tiles, weight_base : int
        Size and beat address of the matrix.
    mode, quantizer : mapping of str to int
        Fields of these registers.
    vectors : int
        Vectors that are multiplied.
    """

    inputs: int
    tiles: int
    weight_base: int
    mode: Fields
    quantizer: Fields
    vectors: int = 1

    @property
    def layout(self) -> WeightFormat:
        """Format of the weights."""
        return next(f for f in FORMATS.values() if f.number == self.mode["format"])

    @property
    def table(self) -> CodeTable | None:
        """Code table, None if there is no such number."""
        return next((t for t in TABLES.values() if t.number == self.mode["table"]), None)

    @property
    def sums(self) -> bool:
        """Whether groups have row sums."""
        return bool(self.mode["sums"])


class Engine:
    """Checks, codes, multiplies and counts, as the core does.

    Parameters
    ----------
    params : CoreParams
        The core.
    memory : ndarray
        Its memory, uint32, ``words_per_beat`` for each beat; read when needed.
    """

    def __init__(self, params: CoreParams, memory: np.ndarray) -> None:
        self.params, self._memory = params, memory

    def check(self, instruction: MatrixInstruction) -> Error:
        """Tell why the core would refuse the instruction; the mode is judged first."""
        params, layout, table = self.params, instruction.layout, instruction.table
        if table is None or params.lanes % layout.lanes_per_output:
            return Error.MODE
        if not _suits(instruction, table):
            return Error.MODE
        if instruction.mode["vector"] >= params.batch > 1:
            return Error.MODE
        if not 0 < instruction.inputs <= params.max_inputs:
            return Error.INPUTS
        if not 0 < instruction.vectors * self._rows(instruction) <= params.max_outputs:
            return Error.OUTPUTS
        end = instruction.weight_base + self._beats(instruction)
        if end > params.memory_beats or instruction.weight_base % params.alignment:
            return Error.MEMORY
        return Error.NONE

    def encode(self, x: Tensor, instruction: MatrixInstruction) -> Encoded:
        """Code a vector, int64, shape (inputs,), of an instruction without errors."""
        table, quantizer = instruction.table, instruction.quantizer
        assert table is not None
        if instruction.mode["codes"]:
            return from_codes(x, table=table)
        if instruction.mode["fixed"]:
            return with_fixed_scale(x, table=table, threshold=quantizer["threshold"])
        return encode(
            x,
            table=table,
            constant=quantizer["constant"],
            threshold=quantizer["threshold"],
            silent_level=quantizer["silent"],
        )

    def multiply(self, encoded: Encoded, instruction: MatrixInstruction) -> Tensor:
        """Return the accumulators of all outputs of the tiles, int64, shape (..., outputs)."""
        size = self.params.words_per_beat
        start, beats = instruction.weight_base, self._beats(instruction)
        values, excess = read_tiles(
            self._memory[start * size : (start + beats) * size],
            self.params,
            instruction.layout,
            instruction.inputs,
            sums=instruction.sums,
        )
        silence = encoded.silent_level - encoded.table.zero
        products = encoded.scaled.numpy() @ values.T
        return torch.from_numpy(products + silence * (encoded.scales.numpy() @ excess.T))

    def memory_counters(self, encoded: Encoded, instruction: MatrixInstruction) -> dict[str, int]:
        """Count the reads of memory; vectors in a first dimension are a batch."""
        params = self.params
        return memory_counters(
            encoded,
            weight_format=instruction.layout,
            rows=self._rows(instruction),
            lanes=params.lanes,
            tile_lanes=params.tile_lanes,
            integrator=params.integrator,
            memory=params.config.memory,
            hole=params.hole,
            batch=params.batch,
        )

    def fetch_counters(self, marks: Tensor, instruction: MatrixInstruction) -> dict[str, int]:
        """Count the reads of external memory, of rows that are marked, shape (blocks, 32)."""
        layout = instruction.layout
        return fetch_counters(
            marks[: -(-instruction.inputs // BLOCK)],
            tiles=layout.tiles(self._rows(instruction), self.params.lanes),
            head_beats=layout.head_beats(sums=instruction.sums),
            hole=self.params.hole,
        )

    def _rows(self, instruction: MatrixInstruction) -> int:
        """Return the outputs of all tiles."""
        return instruction.tiles * instruction.layout.outputs(self.params.tile_lanes)

    def _beats(self, instruction: MatrixInstruction) -> int:
        """Beats of all tiles."""
        return instruction.tiles * tile_beats(
            self.params, instruction.layout, instruction.inputs, sums=instruction.sums
        )


def _suits(instruction: MatrixInstruction, table: CodeTable) -> bool:
    """Whether mode and silent level go with the table."""
    level, mode = instruction.quantizer["silent"], instruction.mode
    lowest = table.lowest if table.masked else table.silent_level
    highest = table.highest if table.masked else table.silent_level
    unscaled = mode["codes"] or mode["fixed"]
    return (
        lowest <= level <= highest
        and not (table.zero if unscaled else not table.linear)
        and (level == table.zero or instruction.sums)
    )
