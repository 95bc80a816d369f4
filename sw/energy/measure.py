"""Runs the golden model on a text and records what every tensor does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from hw.spec.crossbar import Crossbar
from sw.convert.container import ConvertedModel
from sw.crossbar import fitted
from sw.energy.activity import Activity, ActivityMeter, CrossbarActivityMeter
from sw.golden.decoder import GoldenModel
from sw.golden.integers import LOGIT_FRACTION
from sw.golden.matrix import Matrix
from sw.golden.perplexity import token_losses


class GoldenRun(NamedTuple):
    """What a run left behind.

    Attributes
    ----------
    losses : Tensor
        Log-loss of every predicted token, nats.
    activities : dict of str to Activity
        By tensor, of all tokens.
    digests : dict of str to str
        Hash of all accumulators of each matrix, if they were asked for.
    matrices : mapping
        Weights ready for products, for a next run.
    """

    losses: Tensor
    activities: dict[str, Activity]
    digests: dict[str, str]
    matrices: Mapping[str, Matrix]


def golden_run(
    model: ConvertedModel,
    tokens: Tensor,
    *,
    window: int,
    table: str | None = None,
    matrices: Mapping[str, Matrix] | None = None,
    digest: bool = False,
    crossbar: Crossbar | None = None,
    columns: int = 64,
    report: Callable[[int], None] = lambda tokens: None,
) -> GoldenRun:
    """Read a text in windows of equal length.

    Parameters
    ----------
    model : ConvertedModel
        Model to run.
    tokens : Tensor
        int64; a rest shorter than a window is dropped.
    window : int
        Tokens that are read together.
    table : str, optional
        Code table; the model's own if absent.
    matrices : mapping, optional
        Those of an earlier run with the same weights.
    digest : bool
        Hash the accumulators, so that runs can be compared bit for bit.
    crossbar : Crossbar, optional
        Arrays that multiply by the weights, instead of digital lanes.
    columns : int
        Columns of an array.
    report : callable
        That of the golden model.
    """
    model = fitted(model, crossbar)
    golden = GoldenModel(model, table=table, matrices=matrices)
    meter = (
        CrossbarActivityMeter(model, table=golden.table, crossbar=crossbar, lanes=columns)
        if crossbar
        else ActivityMeter(model, table=golden.table)
    )
    meter.digesting = digest
    golden.golden, golden.observe, golden.report = meter, meter.observe, report

    def logits(batch: Tensor) -> Tensor:
        golden.reset_cache()
        return golden.prefill(batch[0].tolist())[None].float() / 2**LOGIT_FRACTION

    losses = token_losses(logits, tokens, window)
    digests = {name: hashed.hexdigest() for name, hashed in meter.hashes.items()}
    return GoldenRun(losses, meter.activities, digests, golden.matrices)
