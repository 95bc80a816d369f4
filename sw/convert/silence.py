"""Wider dead zones: silence thresholds above half a scale, which trade accuracy for silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sw.convert.container import ConvertedModel
from sw.convert.defaults import SITE_RATIO, site_of
from sw.errors import UserError

#: Parts of a scale that a threshold counts, and the largest threshold.
_PARTS, _LARGEST = 8, 255


def parse_thresholds(texts: Sequence[str]) -> dict[str, int]:
    """Read thresholds such as ``ffn_down=1.25``, in units of the scale.

    Returns
    -------
    dict of str to int
        Thresholds in 1/8 of the scale by site.

    Raises
    ------
    UserError
        If there is no such site, or the number is no multiple of 1/8 within 0..31.875.
    """
    thresholds = {}
    for text in texts:
        site, _, number = text.partition("=")
        if site not in SITE_RATIO:
            raise UserError(
                f"--silence needs SITE=SCALES with a site of {', '.join(SITE_RATIO)}, not {text!r}"
            )
        try:
            eighths = _PARTS * float(number)
        except ValueError:
            raise UserError(f"--silence {site} needs a number of scales, not {number!r}") from None
        if not 0 <= eighths <= _LARGEST or eighths != int(eighths):
            raise UserError(
                f"--silence {site} must be a multiple of 1/8 from 0 to {_LARGEST / _PARTS}, "
                f"not {number}"
            )
        thresholds[site] = int(eighths)
    return thresholds


def with_thresholds(model: ConvertedModel, thresholds: Mapping[str, int]) -> ConvertedModel:
    """Return a model with other silence thresholds of its own code table, in 1/8 of the scale."""
    quantizers = {tensor: dict(tables) for tensor, tables in model.quantizers.items()}
    for tensor, tables in quantizers.items():
        if (threshold := thresholds.get(site_of(tensor))) is not None:
            tables[model.table] = dataclasses.replace(tables[model.table], threshold=threshold)
    return dataclasses.replace(model, quantizers=quantizers)
