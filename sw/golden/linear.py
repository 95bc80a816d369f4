"""Every multiplication by a weight passes through one callable; this is the golden one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import CodeTable
from sw.convert.container import ConvertedModel
from sw.convert.encoder import ConvertedEncoder
from sw.golden.codes import Encoded, encode
from sw.golden.counters import (
    Counters,
    accumulate,
    bound_cycles,
    event_counters,
    memory_counters,
    no_counters,
)
from sw.golden.matrix import Matrix

#: Multiplies one vector: matrix name, matrix, int16 elements -> accumulators and base exponent E.
Linear = Callable[[str, Matrix, Tensor], tuple[Tensor | np.ndarray, Tensor | int]]

#: Site whose quantizer codes the input of a matrix, by the last part of the matrix's name.
SITES = {
    "qkv": "attn_q",
    "attn_output": "attn_output",
    "gate_up": "ffn_gate",
    "ffn_up": "ffn_gate",
    "ffn_down": "ffn_down",
    "head": "head",
}


def input_site(matrix: str) -> str:
    """Name of the tensor that a matrix reads: ``layers.3.qkv`` reads ``layers.3.attn_q``."""
    *prefix, name = matrix.split(".")
    return ".".join([*prefix, SITES[name]])


def each_vector(linear: Linear, name: str, matrix: Matrix, x: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply vectors of shape (vectors, inputs) one by one; return what `GoldenLinear` does."""
    results = [linear(name, matrix, vector) for vector in x]
    accumulators = torch.stack([torch.as_tensor(accumulator) for accumulator, _ in results])
    return accumulators, torch.tensor([int(base) for _, base in results])


class GoldenLinear:
    """Codes vectors, multiplies them by a matrix, and counts.

    Parameters
    ----------
    model : ConvertedModel or ConvertedEncoder
        Source of the quantizers.
    table : CodeTable
        Code table.
    lanes : int, optional
        Lanes of the core whose memory reads are predicted; they are not counted if absent.
    tile_lanes : int, optional
        Lanes of that core's tiles in memory, if they are wider.
    integrator, memory, hole : str, str, int
        That core's integrator, where its weights are, and which holes it reads through.
    batch : int
        Vectors that it multiplies at once, of those that come in one call.

    Attributes
    ----------
    counters : dict
        Totals since `GoldenLinear.reset`, as of `no_counters`.
    """

    #: Blocks that share a scale.
    shared = 1

    def __init__(
        self,
        model: ConvertedModel | ConvertedEncoder,
        *,
        table: CodeTable,
        lanes: int | None = None,
        tile_lanes: int | None = None,
        integrator: str = "mac",
        memory: str = "onchip",
        hole: int = 1,
        batch: int = 1,
    ):
        self.model, self.table, self.lanes = model, table, lanes
        self.tile_lanes = tile_lanes
        self.integrator, self.memory, self.hole = integrator, memory, hole
        self.batch = batch
        self.reset()

    def reset(self) -> None:
        """Set the counters to zero."""
        self.counters: Counters = no_counters()
        if self.lanes is None:
            uncounted = ("rows_read", "beats_read", "beats_hole", "bound_cycles")
            self.counters |= dict.fromkeys(uncounted)

    def __call__(self, name: str, matrix: Matrix, x: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply vectors of shape (..., inputs); return accumulators and base exponents."""
        quantizer = self.model.quantizer(input_site(name), self.table.name)
        encoded = encode(
            x,
            table=self.table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent_level=quantizer.silent_level,
            shared=self.shared,
        )
        accumulate(self.counters, event_counters(encoded))
        if self.lanes is not None:
            weights = matrix.weights
            core: dict[str, Any] = {
                "weight_format": weights.format,
                "rows": weights.rows,
                "lanes": self.lanes,
                "tile_lanes": self.tile_lanes,
                "integrator": self.integrator,
                "batch": self.batch,
            }
            reads = memory_counters(encoded, **core, memory=self.memory, hole=self.hole)
            accumulate(self.counters, reads)
            accumulate(self.counters, {"bound_cycles": bound_cycles(encoded, **core)})
        return self.product(name, matrix, encoded), encoded.base

    def product(self, name: str, matrix: Matrix, encoded: Encoded) -> Tensor:
        """Multiply coded vectors; what stands behind it may be another array."""
        return matrix.matvec(encoded)
