"""The golden product on crossbars: that of arithmetic.md, with the sums P of crossbar.md."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hw.spec.codes import BLOCK, CodeTable
from hw.spec.crossbar import Crossbar
from hw.spec.registers import CROSSBAR_COUNTERS
from sw.convert.container import ConvertedModel
from sw.errors import UserError
from sw.golden.codes import Encoded
from sw.golden.counters import accumulate
from sw.golden.crossbar import Activity, CrossbarArrays, nibbles
from sw.golden.linear import GoldenLinear
from sw.golden.matrix import Matrix


def matrix_numbers(model: ConvertedModel) -> dict[str, int]:
    """Give the numbers by which crossbars know matrices: of layers in order, then of the head."""
    names = [name for name in model.matrices if name.startswith("layers.")]
    return {name: number for number, name in enumerate([*names, "head"])}


class CrossbarMatrix:
    """A matrix whose sums P come from crossbars.

    Parameters
    ----------
    matrix : Matrix
        Codes, mantissas, offsets.
    crossbar : Crossbar
        The arrays that hold the codes.
    number : int
        Number of the matrix.
    lanes : int
        Columns of an array.
    cells : mapping of str to Tensor, optional
        Conductances, see :class:`sw.golden.crossbar.CrossbarArrays`.

    Raises
    ------
    ValueError
        If the mapping cannot hold a code, or the rows of an array have different scales.
    """

    def __init__(
        self,
        matrix: Matrix,
        crossbar: Crossbar,
        *,
        number: int,
        lanes: int,
        cells: Mapping[str, Tensor] | None = None,
    ):
        weights, self._blocks = matrix.weights, crossbar.rows // BLOCK
        self.matrix = matrix
        codes = nibbles(weights)
        self.arrays = CrossbarArrays(codes, crossbar, number=number, lanes=lanes, cells=cells)
        d, b = (torch.from_numpy(part).long().T for part in (weights.d, weights.b))
        self._d, self._b = self._shared(d), self._shared(b)  # (arrays, rows)
        real = torch.zeros(self.arrays.arrays * crossbar.rows, self.arrays.columns).long()
        real[: len(codes)] = codes
        self._row_sums = real.unflatten(0, (-1, crossbar.rows)).sum(1)[:, None]
        self._lanes = lanes

    def _shared(self, values: Tensor) -> Tensor:
        """Take the one value of each array, shape (arrays, ...)."""
        missing = -len(values) % self._blocks
        whole = torch.cat([values, values[-1:].expand(missing, *values.shape[1:])])
        whole = whole.unflatten(0, (-1, self._blocks))
        if (whole != whole[:, :1]).any():
            raise ValueError(
                f"the {32 * self._blocks} rows of an array must share one scale; choose arrays of "
                "32 rows, or `firstspike eval --rows`, which quantizes the weights anew"
            )
        return whole[:, 0]

    def matvec(self, encoded: Encoded) -> tuple[Tensor, Activity]:
        """Multiply coded vectors of shape (vectors, G, 32).

        Returns
        -------
        accumulators : Tensor
            int64, shape (vectors, rows).
        activity : Activity
            What the arrays of one tile did.
        """
        sums, activity = self.arrays.group_sums(encoded)
        silence = encoded.silent_level - encoded.table.zero
        p = sums.long() + silence * self._row_sums
        missing = -encoded.scales.shape[-1] % self._blocks
        x = torch.nn.functional.pad(encoded.code_sums, (0, missing))
        x = x.unflatten(-1, (-1, self._blocks)).sum(-1).T[..., None]
        if self.matrix.weights.format.name == "w8":
            p = 16 * p[..., 1::2] + p[..., ::2] + 8 * x
        scales = self._shared(encoded.scales.T)[..., None]  # (arrays, vectors, 1)
        return (scales * (self._d[:, None] * p + self._b[:, None] * x)).sum(0), activity


class CrossbarLinear(GoldenLinear):
    """Codes vectors, multiplies them on crossbars, and counts; else as `GoldenLinear`.

    Parameters
    ----------
    model : ConvertedModel
        Source of the quantizers, and of the numbers of matrices.
    table : CodeTable
        Code table.
    crossbar : Crossbar
        The arrays.
    lanes : int
        Columns of an array, of 4-bit weights.
    **core
        As of `GoldenLinear`.
    """

    def __init__(
        self, model: ConvertedModel, *, table: CodeTable, crossbar: Crossbar, lanes: int, **core
    ):
        self.shared = crossbar.rows // BLOCK
        self.crossbar, self.numbers = crossbar, matrix_numbers(model)
        self.all_placed: dict[str, CrossbarMatrix] = {}
        #: Conductances of matrices that are not to be programmed anew.
        self.conductances: Mapping[str, Mapping[str, Tensor]] = {}
        super().__init__(model, table=table, lanes=lanes, **core)
        self._lanes = lanes

    def reset(self) -> None:
        """Set the counters to zero."""
        super().reset()
        self.counters |= dict.fromkeys(CROSSBAR_COUNTERS, 0)

    def placed(self, name: str, matrix: Matrix) -> CrossbarMatrix:
        """Program a matrix when it is used first.

        Raises
        ------
        UserError
            If the crossbar cannot hold it.
        """
        if name not in self.all_placed:
            try:
                self.all_placed[name] = CrossbarMatrix(
                    matrix,
                    self.crossbar,
                    number=self.numbers[name],
                    lanes=self._lanes,
                    cells=self.conductances.get(name),
                )
            except ValueError as error:
                raise UserError(f"{name}: {error}") from None
        return self.all_placed[name]

    def product(self, name: str, matrix: Matrix, encoded: Encoded) -> Tensor:
        """Multiply coded vectors on the matrix's arrays; count what these do."""
        flat = encoded if encoded.decoded.dim() == 3 else encoded.unsqueezed()
        result, activity = self.placed(name, matrix).matvec(flat)
        layout = matrix.weights.format
        tiles = layout.tiles(matrix.weights.rows, self._lanes)
        accumulate(
            self.counters,
            {
                "array_steps": tiles * activity.steps,
                "conversions": tiles * self._lanes * activity.readings,
                "lines_raised": tiles * activity.lines,
            },
        )
        return result.view(*encoded.decoded.shape[:-2], -1)
