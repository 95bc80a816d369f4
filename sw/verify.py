"""Golden model and hardware side by side, multiplication by multiplication."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from torch import Tensor

from sw.driver.linear import DeviceLinear
from sw.golden.linear import GoldenLinear
from sw.golden.matrix import Matrix

#: Counters that the golden model does not predict.
MEASURED = ("cycles", "stall_scaler", "stall_memory", "stall_encoder")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """The first place where the hardware departs from the golden model.

    Attributes
    ----------
    token : int
        Position in the text, prompt included.
    matrix : str
        The multiplication.
    quantity : str
        ``"accumulator"``, ``"base exponent"`` or the name of a counter.
    tile, element : int or None
        Tile of outputs and the output's number in the matrix; None unless an accumulator.
    expected, got : int
        Value of the golden model and of the hardware.
    """

    token: int
    matrix: str
    quantity: str
    tile: int | None
    element: int | None
    expected: int
    got: int

    def __str__(self) -> str:
        place = f", tile {self.tile}, element {self.element}" if self.tile is not None else ""
        return (
            f"rtl differs from golden first at token {self.token}, {self.matrix}{place}: "
            f"{self.quantity} expected {self.expected} ({self.expected & (1 << 64) - 1:#x}), "
            f"got {self.got} ({self.got & (1 << 64) - 1:#x})"
        )


class MismatchError(Exception):
    """Raised at the first difference.

    Attributes
    ----------
    difference : Difference
        Where and what.
    x : numpy.ndarray
        The vector that was multiplied.
    """

    def __init__(self, difference: Difference, x: np.ndarray):
        super().__init__(str(difference))
        self.difference, self.x = difference, x


class ComparingLinear:
    """Multiplies on the device and in the golden model, and stops at the first difference.

    Parameters
    ----------
    golden : GoldenLinear
        Reference; must count the memory reads of the device's lanes.
    device : DeviceLinear
        What is checked.
    only : str
        Matrices whose names begin so are compared; the others are golden only. All by default.
    before : callable, optional
        Called with (call number, matrix name, matrix, x) before each multiplication.

    Attributes
    ----------
    calls, compared : int
        Multiplications, and accumulators and counters compared so far.
    totals : dict
        For each matrix that was compared, sums of the counters of the hardware, of the golden
        model's ``bound_cycles``, and of ``useful_beats``: of those that were read, without the
        share of outputs that pad the last tile.
    """

    def __init__(
        self,
        golden: GoldenLinear,
        device: DeviceLinear,
        *,
        only: str = "",
        before: Callable[[int, str, Matrix, np.ndarray], None] | None = None,
    ):
        self.golden, self.device, self.only, self.before = golden, device, only, before
        self.calls = self.compared = self.token = 0
        self.totals: dict[str, dict[str, float]] = {}

    def __call__(
        self, name: str, matrix: Matrix, x: Tensor
    ) -> tuple[Tensor | np.ndarray, Tensor | int]:
        """Multiply one vector on both.

        Raises
        ------
        MismatchError
            If an accumulator, the base exponent or a counter differs.
        """
        if not name.startswith(self.only):
            self.token += name == "head"
            return self.golden(name, matrix, x)
        vector = np.asarray(x)
        if self.before:
            self.before(self.calls, name, matrix, vector)
        counted = dict(self.golden.counters)
        expected, base = self.golden(name, matrix, x)
        got, got_base = self.device(name, matrix, x)
        pairs = {"base exponent": (int(base), got_base)}
        measured = self.device.last.counters if self.device.last else {}
        for counter, total in self.golden.counters.items():
            if counter in measured and counter not in MEASURED:
                pairs[counter] = ((total or 0) - (counted[counter] or 0), measured[counter])
        self._compare(name, matrix, expected.numpy(), got, pairs, vector)
        bound = (self.golden.counters["bound_cycles"] or 0) - (counted["bound_cycles"] or 0)
        self._add_up(name, matrix, {**measured, "bound_cycles": bound})
        self.calls += 1
        self.compared += len(got) + len(pairs)
        self.token += name == "head"
        return got, got_base

    def _add_up(self, name: str, matrix: Matrix, counters: dict[str, int]) -> None:
        weights, lanes = matrix.weights, self.device.device.params.tile_lanes
        whole = weights.format.tiles(weights.rows, lanes) * weights.format.outputs(lanes)
        useful = counters["beats_read"] * weights.rows / whole
        totals = self.totals.setdefault(name, dict.fromkeys([*counters, "useful_beats"], 0))
        for counter, count in {**counters, "useful_beats": useful}.items():
            totals[counter] += count

    def _compare(self, name, matrix, expected, got, pairs, x) -> None:
        place = {"token": self.token, "matrix": name}
        wrong = np.flatnonzero(expected != got)
        if len(wrong):
            element = int(wrong[0])
            outputs = matrix.weights.format.outputs(self.device.device.params.tile_lanes)
            raise MismatchError(
                Difference(
                    **place,
                    quantity="accumulator",
                    tile=element // outputs,
                    element=element,
                    expected=int(expected[element]),
                    got=int(got[element]),
                ),
                x,
            )
        for quantity, (wanted, came) in pairs.items():
            if wanted != came:
                raise MismatchError(
                    Difference(
                        **place,
                        quantity=quantity,
                        tile=None,
                        element=None,
                        expected=wanted,
                        got=came,
                    ),
                    x,
                )
