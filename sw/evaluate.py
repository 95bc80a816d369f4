"""Perplexity on the rungs of the ladder, and the shares of silent and integer codes."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from hw.spec.codes import TABLES
from hw.spec.crossbar import Crossbar
from sw.convert.container import ConvertedModel
from sw.convert.remap import remap
from sw.crossbar import fitted
from sw.errors import UserError
from sw.golden.crossbar_linear import CrossbarLinear
from sw.golden.decoder import GoldenModel
from sw.golden.fake import FakeQuantizers
from sw.golden.fake_weights import chosen_weights
from sw.golden.float_model import FloatLlama, reporting
from sw.golden.integers import LOGIT_FRACTION
from sw.golden.linear import GoldenLinear
from sw.golden.perplexity import Perplexity, perplexity
from sw.load.checkpoint import Checkpoint
from sw.progress import watching

RUNGS = ("float", "fake", "golden")
_CLASSES = ("spikes", "silent", "integer_events")


class Meter(GoldenLinear):
    """Golden product that also counts codes per matrix."""

    def reset(self) -> None:
        """Set all counters to zero."""
        super().reset()
        self.by_matrix: dict[str, dict[str, int]] = {}

    def __call__(self, name, matrix, x):
        """Multiply vectors and count their codes under the matrix's name."""
        before = {key: self.counters[key] for key in _CLASSES}
        result = super().__call__(name, matrix, x)
        entry = self.by_matrix.setdefault(name, {**dict.fromkeys(_CLASSES, 0), "outputs": 0})
        entry["outputs"] = matrix.weights.rows
        for key in _CLASSES:
            entry[key] += self.counters[key] - before[key]
        return result


class CrossbarMeter(Meter, CrossbarLinear):
    """Golden product on crossbars that also counts codes per matrix."""


@dataclasses.dataclass(kw_only=True)
class Evaluation:
    """What `eval --json` writes: perplexity per rung, its standard error, and shares of codes.

    ``crossbar`` and ``counters`` are None where weights are in memory.
    """

    perplexity: dict[str, float | None]
    stderr: dict[str, float | None]
    tokens: int
    window: int
    table: str
    shares: dict
    crossbar: dict | None = None
    counters: dict | None = None


def evaluate(
    model: ConvertedModel,
    checkpoint: Checkpoint | None,
    tokens: Tensor,
    *,
    window: int,
    table: str,
    rungs: tuple[str, ...] = RUNGS,
    crossbar: Crossbar | None = None,
    columns: int = 64,
    by_cells: bool = False,
    report=print,
) -> Evaluation:
    """Measure perplexity over disjoint windows.

    Parameters
    ----------
    model : ConvertedModel
        For the golden rung.
    checkpoint : Checkpoint, optional
        For the float and fake rungs, which are left out without it.
    tokens : Tensor
        int64 token ids.
    window : int
        Tokens a window, of which ``window - 1`` are predicted.
    table : str
        Code table of the fake and golden rungs.
    rungs : tuple of str
        What to measure.
    crossbar : Crossbar, optional
        Arrays that multiply on the golden rung.
    columns : int
        Columns of an array.
    by_cells : bool
        Choose weights by what their cells have become.
    report : callable
        Receives a line when a rung is done.

    Raises
    ------
    UserError
        If the text is shorter than a window, or the window longer than the context.
    """
    if window > model.config.context:
        raise UserError(f"the model's context is {model.config.context}; --window is {window}")
    if len(tokens) < window or window < 2:
        raise UserError(
            f"the text has {len(tokens)} tokens, one window takes {window}; lower --window or "
            "give a longer text"
        )
    model = fitted(model, crossbar)
    if crossbar and by_cells:
        if TABLES[table].silent_level != TABLES[table].zero:
            raise UserError(
                "the sums of weights of silent codes are those that were written: --remap needs a "
                f"table whose silence is zero, such as companded, not {table}"
            )
        model = remap(model, crossbar, lanes=columns)
    measured: dict[str, Perplexity] = {}
    shares: dict = {}
    counters: dict | None = None
    for rung in rungs:
        if rung != "golden" and checkpoint is None:
            continue
        if rung == "golden":
            measured[rung], meter = _golden(model, tokens, window, table, crossbar, columns)
            shares = shares_of(meter)
            counters = dict(meter.counters) if crossbar else None
        else:
            measured[rung] = _float(rung, model, checkpoint, tokens, window, table)
        result = measured[rung]
        report(f"{rung:>7}  {result.perplexity:8.3f}  (nll +- {result.nll_stderr:.4f})")
    return Evaluation(
        perplexity={r: measured[r].perplexity if r in measured else None for r in RUNGS},
        stderr={r: measured[r].nll_stderr if r in measured else None for r in RUNGS},
        tokens=len(tokens) // window * window,
        window=window,
        table=table,
        shares=shares,
        crossbar=dataclasses.asdict(crossbar) if crossbar else None,
        counters=counters,
    )


def _float(rung, model, checkpoint, tokens, window, table) -> Perplexity:
    network = FloatLlama.from_checkpoint(checkpoint)
    if rung == "fake":
        network.quantizers = FakeQuantizers.from_checkpoint(checkpoint, table=table)
        network.quantizers.weights |= chosen_weights(model, checkpoint)
    with watching(rung, _passes(model, tokens, window)) as report, reporting(network, report):
        return perplexity(network, tokens, window)


def _passes(model, tokens, window) -> int:
    """Return how many layers the tokens of whole windows pass together, the head being one."""
    return (model.config.layers + 1) * (len(tokens) // window * window)


def _golden(model, tokens, window, table, crossbar, columns) -> tuple[Perplexity, Meter]:
    golden = GoldenModel(model, table=table)
    meter = (
        CrossbarMeter(model, table=golden.table, crossbar=crossbar, lanes=columns)
        if crossbar
        else Meter(model, table=golden.table)
    )
    golden.golden = meter

    def logits(batch: Tensor) -> Tensor:
        golden.reset_cache()
        return golden.prefill(batch[0].tolist())[None].float() / 2**LOGIT_FRACTION

    with watching("golden", _passes(model, tokens, window)) as golden.report:
        return perplexity(logits, tokens, window), meter


def shares_of(meter: Meter) -> dict:
    """Silent and integer shares: per matrix, and of all, weighted by elements and by products."""
    shares: dict = {"matrices": {}}
    for weight in ("elements", "macs"):
        totals = dict.fromkeys(_CLASSES, 0)
        for entry in meter.by_matrix.values():
            factor = entry["outputs"] if weight == "macs" else 1
            for key in _CLASSES:
                totals[key] += factor * entry[key]
        shares[weight] = _shares(totals)
    for name, entry in meter.by_matrix.items():
        shares["matrices"][name] = _shares(entry)
    return shares


def _shares(entry: dict[str, int]) -> dict[str, float]:
    total = sum(entry[key] for key in _CLASSES)
    return {"silent": entry["silent"] / total, "integer": entry["integer_events"] / total}
