"""Codes and block scales of vectors (``docs/arithmetic.md`` §1 to §3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import BLOCK, DEFAULT_THRESHOLD, QUOTIENT_FRACTION, CodeTable
from hw.spec.scales import (
    CONSTANT_BITS,
    CONSTANT_FRACTION,
    EXPONENT_SPAN,
    GRID,
    INPUT_MAX,
    LARGEST_CODE,
    SCALE_FRACTION,
)
from sw.golden.classify import LARGEST_DECODED, CodeClass, code_lookup, decode
from sw.golden.integers import bits

#: Scale S_g of the test mode and of a fixed scale.
UNIT_SCALE = 4

_HOLDS = torch.tensor([LARGEST_CODE * scale for scale in GRID])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors in codes, each with its own base exponent.

    Attributes
    ----------
    table : CodeTable
        Table of the codes.
    silent_level : int
        Level m that never fires.
    inputs : int
        Elements K of a vector, padding excluded.
    decoded : Tensor
        Decoded values D, int64, shape (..., G, 32).
    classes : Tensor
        `CodeClass` of each element, int8, shape (..., G, 32).
    scales : Tensor
        Relative block scales S_g, 4..1792, shape (..., G).
    base : Tensor
        Base exponents E, shape (...).
    """

    table: CodeTable
    silent_level: int
    inputs: int
    decoded: Tensor
    classes: Tensor
    scales: Tensor
    base: Tensor

    @property
    def code_sums(self) -> Tensor:
        """Sum X of the decoded values of each block, padding excluded, shape (..., G)."""
        return self.decoded.masked_fill(self.classes == CodeClass.PADDING, 0).sum(-1)

    def unsqueezed(self) -> Encoded:
        """Give a single vector as a batch of one."""
        parts = ("decoded", "classes", "scales", "base")
        return dataclasses.replace(self, **{name: getattr(self, name)[None] for name in parts})

    @property
    def scaled(self) -> Tensor:
        """``S_g * D`` without padding, shape (..., K)."""
        return (self.decoded * self.scales[..., None]).flatten(-2)[..., : self.inputs]


def stack(vectors: Sequence[Encoded]) -> Encoded:
    """Join vectors of one table, silent level and length; shapes get a first dimension."""
    parts = ("decoded", "classes", "scales", "base")
    joined: dict[str, Any] = {
        name: torch.stack([getattr(vector, name) for vector in vectors]) for name in parts
    }
    return dataclasses.replace(vectors[0], **joined)


def scale_indices(total: Tensor, largest: Tensor, constant: int) -> Tensor:
    """Scale indices of blocks before the clamp, from sums and maxima of their magnitudes."""
    product = total * constant
    top = bits(product) - 1
    eighths = product >> (top - 3).clamp_min(0)
    first = CONSTANT_FRACTION + SCALE_FRACTION - 2
    wanted = (4 * (top - first) + ((eighths + 1) >> 1) - 4).masked_fill(top < first, 0)
    holds = torch.searchsorted(_HOLDS, largest << SCALE_FRACTION)
    return wanted.maximum(holds).clamp_max(len(GRID) - 1)


def share(total: Tensor, largest: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """Give neighbouring blocks the mean of their sums, rounded down, and the largest maximum."""
    count = total.shape[-1]
    sums = [t.sum(-1, keepdim=True) // t.shape[-1] for t in total.split(blocks, -1)]
    maxima = [t.amax(-1, keepdim=True) for t in largest.split(blocks, -1)]
    spread = [t.repeat_interleave(blocks, -1) for t in (torch.cat(sums, -1), torch.cat(maxima, -1))]
    return spread[0][..., :count], spread[1][..., :count]


def encode(
    x: Tensor,
    *,
    table: CodeTable,
    constant: int,
    threshold: int = DEFAULT_THRESHOLD,
    silent_level: int | None = None,
    shared: int = 1,
) -> Encoded:
    """Quantize vectors.

    Parameters
    ----------
    x : Tensor
        int64, shape (..., K), -32767..32767; every vector gets its own base exponent.
    table : CodeTable
        Code table.
    constant : int
        The tensor's scale constant C, 1..4095.
    threshold : int
        Silence threshold in eighths of the scale.
    silent_level : int
        Level m; the table's default if absent.
    shared : int
        Neighbouring blocks that have one scale, as those of a crossbar array do
        (``docs/crossbar.md`` §1).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    silent_level = check_silent_level(table, silent_level)
    if not 1 <= constant < 1 << CONSTANT_BITS:
        raise ValueError(f"wanted a scale constant of 1..4095, got {constant}: see scale_constant")
    blocks = _blocks(x)
    magnitudes = blocks.abs()
    largest = magnitudes.amax(-1)
    if int(largest.amax()) > INPUT_MAX:
        raise ValueError(
            f"wanted inputs of at most {INPUT_MAX}, got {int(largest.amax())}: normalize them first"
        )
    total = magnitudes.sum(-1)
    if shared > 1:
        total, largest = share(total, largest, shared)
    index = scale_indices(total, largest, constant)
    exponent = index >> 2
    base = (exponent.amax(-1) - EXPONENT_SPAN).clamp_min(0)
    above = exponent - base[..., None]
    scales = torch.where(above < 0, UNIT_SCALE, (4 + (index & 3)) << above.clamp_min(0))
    unit = (scales << base[..., None]).double()[..., None]
    # Exact: the quotient of integers below 2^22 and 2^18 cannot round to the next integer.
    quotient = (blocks.double() * 128).div_(unit).long()
    decoded, classes = decode(quotient, code_lookup(table, threshold, silent_level))
    return _encoded(table, silent_level, x.shape[-1], decoded, classes, scales, base)


def from_codes(x: Tensor, *, table: CodeTable) -> Encoded:
    """Take the elements as decoded values: the test mode *codes*.

    Parameters
    ----------
    x : Tensor
        int64, shape (..., K), -255..255.
    table : CodeTable
        A table whose zero level is 0.

    Raises
    ------
    ValueError
        If the table has another zero level or an element does not fit.
    """
    if table.zero:
        raise ValueError(f"the test mode wants a table with zero level 0, not {table.name!r}")
    if int(x.abs().amax()) > LARGEST_DECODED:
        raise ValueError(f"wanted codes of at most {LARGEST_DECODED}, got {int(x.abs().amax())}")
    decoded = _blocks(x)
    level = torch.isin(decoded.abs() if table.polarity else decoded, torch.tensor(table.ladder))
    classes = torch.where(level, CodeClass.SPIKE, CodeClass.INTEGER).masked_fill(decoded == 0, 0)
    return _unscaled(table, x.shape[-1], decoded, classes.to(torch.int8))


def with_fixed_scale(x: Tensor, *, table: CodeTable, threshold: int) -> Encoded:
    """Quantize codes of softmax, whose scale S is 16 in every block (§9).

    Parameters
    ----------
    x : Tensor
        int64, shape (..., K), -255..255.
    table : CodeTable
        A table whose zero level is 0.
    threshold : int
        Silence threshold in eighths of the scale.

    Raises
    ------
    ValueError
        If the table has another zero level or an element does not fit.
    """
    if table.zero:
        raise ValueError(f"a fixed scale wants a table with zero level 0, not {table.name!r}")
    if int(x.abs().amax()) > LARGEST_DECODED:
        raise ValueError(f"wanted codes of at most {LARGEST_DECODED}, got {int(x.abs().amax())}")
    quotients = _blocks(x) << QUOTIENT_FRACTION
    decoded, classes = decode(quotients, code_lookup(table, threshold, 0))
    return _unscaled(table, x.shape[-1], decoded, classes)


def _unscaled(table: CodeTable, inputs: int, decoded: Tensor, classes: Tensor) -> Encoded:
    scales = torch.full(decoded.shape[:-1], UNIT_SCALE)
    base = torch.zeros(decoded.shape[:-2], dtype=torch.int64)
    return _encoded(table, 0, inputs, decoded, classes, scales, base)


def check_silent_level(table: CodeTable, silent_level: int | None) -> int:
    """Return the silent level, the table's default if it is None.

    Raises
    ------
    ValueError
        If the table does not have that level, or its silent level is fixed.
    """
    if silent_level is None or silent_level == table.silent_level:
        return table.silent_level
    if not table.masked or not table.lowest <= silent_level <= table.highest:
        wanted = f"{table.lowest}..{table.highest}" if table.masked else f"{table.silent_level}"
        raise ValueError(f"silent level of {table.name!r} must be {wanted}, not {silent_level}")
    return silent_level


def _blocks(x: Tensor) -> Tensor:
    missing = -x.shape[-1] % BLOCK
    padded = functional.pad(x, (0, missing)) if missing else x
    return padded.unflatten(-1, (-1, BLOCK))


def _encoded(table, silent_level, inputs, decoded, classes, scales, base) -> Encoded:
    missing = -inputs % BLOCK
    if missing:
        classes[..., -1, BLOCK - missing :] = CodeClass.PADDING
        decoded[..., -1, BLOCK - missing :] = silent_level - table.zero
    return Encoded(
        table=table,
        silent_level=silent_level,
        inputs=inputs,
        decoded=decoded,
        classes=classes,
        scales=scales,
        base=base,
    )
