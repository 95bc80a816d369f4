"""Measures the rows of `firstspike compare`: every baseline on the same text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from sw.compare.baselines import BASELINES, Baseline
from sw.compare.quantizers import Saliency, matrix_shapes
from sw.convert.container import ConvertedModel
from sw.convert.defaults import site_of
from sw.energy.activity import Activity, layer_rows, on_crossbars, totals, weight_activity
from sw.energy.macro import MacroEnergy
from sw.energy.measure import golden_run
from sw.energy.model import COUNTINGS, energy
from sw.energy.technology import MissingConstantError, Technology, load_technology
from sw.errors import UserError
from sw.golden.fake import FakeQuantizers
from sw.golden.float_model import FloatLlama, Quantizers, reporting
from sw.golden.matrix import Matrix
from sw.golden.perplexity import paired, perplexity_of, token_losses
from sw.load.checkpoint import Checkpoint
from sw.progress import watching

#: Rows whose results must be equal bit for bit: who is silent changes no sum.
MASKED = ("ttfs16", "mttfs")


@dataclasses.dataclass(kw_only=True)
class Measured:
    """What a baseline did on the text.

    Attributes
    ----------
    losses : Tensor
        Log-loss of every predicted token, nats.
    activities : dict of str to Activity
        By tensor, of all tokens; empty for float.
    digests : dict of str to str
        Hash of all accumulators of each matrix, of the rows in ``MASKED`` only.
    """

    losses: Tensor
    activities: dict[str, Activity]
    digests: dict[str, str] = dataclasses.field(default_factory=dict)


class Comparison:
    """Runs baselines, one after the other, on shared weights.

    Parameters
    ----------
    model : ConvertedModel
        Quantizers of the golden rows.
    checkpoint : Checkpoint, optional
        What it was converted from; golden rows do without.
    tokens : Tensor
        int64, the text.
    window : int
        Tokens that are read together.
    calibration : Tensor, optional
        Text that chooses salient channels; the first window of ``tokens`` if absent, which
        flatters the rows that have any.

    Raises
    ------
    UserError
        If the text is shorter than a window, or the window longer than the context.
    """

    def __init__(
        self,
        model: ConvertedModel,
        checkpoint: Checkpoint | None,
        tokens: Tensor,
        *,
        window: int,
        calibration: Tensor | None = None,
    ) -> None:
        if not 2 <= window <= model.config.context:
            raise UserError(
                f"--window must be 2..{model.config.context}, the model's context, not {window}"
            )
        if len(tokens) < window:
            raise UserError(
                f"the text has {len(tokens)} tokens, one window takes {window}; lower --window or "
                "give a longer text"
            )
        self.model, self.checkpoint, self.window = model, checkpoint, window
        self.tokens = tokens[: len(tokens) // window * window]
        self._calibration = self.tokens[:window] if calibration is None else calibration
        self._matrices: Mapping[str, Matrix] | None = None
        self._network: FloatLlama | None = None
        self._weights: dict[str, Tensor] | None = None
        self._salient: dict[str, Tensor] | None = None
        self._codes: dict[tuple[str | None, int], Measured] = {}

    def measure(self, baseline: Baseline) -> Measured:
        """Run one baseline."""
        if baseline.rung == "golden":
            return self._golden(baseline)
        assert self.checkpoint is not None
        network = self._network = self._network or FloatLlama.from_checkpoint(self.checkpoint)
        if baseline.quantizers is None:
            network.quantizers = Quantizers()
            return Measured(
                losses=self._losses(network, baseline.label, self.tokens), activities={}
            )
        return self._fake(baseline, network)

    def _golden(self, baseline: Baseline) -> Measured:
        code = baseline.table, baseline.dead_zone
        if baseline.crossbar and code in self._codes:
            return _on_crossbars(self._codes[code])
        model = self.model
        if baseline.dead_zone:
            model = with_dead_zone(model, str(baseline.table), baseline.dead_zone)
        with watching(baseline.label, self._passes(len(self.tokens))) as report:
            run = golden_run(
                model,
                self.tokens,
                window=self.window,
                table=baseline.table,
                matrices=self._matrices,
                digest=baseline.name in MASKED,
                report=report,
            )
        self._matrices = run.matrices
        measured = Measured(losses=run.losses, activities=run.activities, digests=run.digests)
        self._codes[code] = measured
        return _on_crossbars(measured) if baseline.crossbar else measured

    def _fake(self, baseline: Baseline, network: FloatLlama) -> Measured:
        assert baseline.quantizers is not None and self.checkpoint is not None
        weights = self._stored()
        if baseline.salient and self._salient is None:
            chooser = Saliency(self.checkpoint, weights)
            network.quantizers = chooser
            self._losses(network, "salient channels", self._calibration)
            self._salient = chooser.chosen()
        quantizers = baseline.quantizers(self.checkpoint, weights, salient=self._salient)
        network.quantizers = quantizers
        losses = self._losses(network, baseline.label, self.tokens)
        return Measured(losses=losses, activities=quantizers.activities)

    def _losses(self, network: FloatLlama, label: str, tokens: Tensor) -> Tensor:
        size = min(self.window, len(tokens))
        with (
            watching(label, self._passes(len(tokens) // size * size)) as report,
            reporting(network, report),
        ):
            return token_losses(network, tokens, size)

    def _passes(self, tokens: int) -> int:
        """Return how many layers so many tokens pass together, the head being one."""
        return (self.model.config.layers + 1) * tokens

    def _stored(self) -> dict[str, Tensor]:
        if self._weights is None:
            assert self.checkpoint is not None
            self._weights = FakeQuantizers.from_checkpoint(self.checkpoint).weights
        return self._weights


def _on_crossbars(measured: Measured) -> Measured:
    """Return what the same codes do on crossbars that lose nothing."""
    on_arrays = {name: on_crossbars(record) for name, record in measured.activities.items()}
    return dataclasses.replace(measured, activities=on_arrays)


def with_dead_zone(model: ConvertedModel, table: str, k: int) -> ConvertedModel:
    """Silence the k levels on either side of the silent one, at the inputs of linear layers."""
    quantizers = {tensor: dict(tables) for tensor, tables in model.quantizers.items()}
    for tensor, tables in quantizers.items():
        if site_of(tensor) not in ("query", "probability"):
            tables[table] = dataclasses.replace(tables[table], threshold=8 * k + 4)
    return dataclasses.replace(model, quantizers=quantizers)


def compare(
    comparison: Comparison,
    technologies: Iterable[Technology],
    *,
    baselines: Iterable[Baseline] = BASELINES,
    memory: str = "sram",
    macro: MacroEnergy | None = None,
    report=lambda baseline: None,
) -> tuple[list[dict], dict | None]:
    """Measure baselines and make their rows.

    Parameters
    ----------
    comparison : Comparison
        Model and text.
    technologies : iterable of Technology
        Whose energy is told.
    baselines : iterable of Baseline
        What is measured; ``float``, the first, is what others are compared with.
    memory : str
        Where weights and caches are, for energy.
    macro : MacroEnergy, optional
        Of crossbars; that of Ye et al. if absent.
    report : callable
        Receives each row when it is there.

    Returns
    -------
    rows : list of dict
        As `make_row` makes them.
    masking : dict or None
        What the mask of M-TTFS saves, and whether it changes any sum; None unless both rows of
        ``MASKED`` were measured.
    """
    technologies, rows, reference = list(technologies), list[dict](), None
    macro = macro or MacroEnergy.of(load_technology("ye2023"))
    masked: dict[str, Measured] = {}
    for baseline in baselines:
        measured = comparison.measure(baseline)
        reference = measured.losses if reference is None else reference
        if measured.digests:
            masked[baseline.name] = measured
        used = macro if baseline.crossbar else None
        row = make_row(baseline, measured, reference, comparison, technologies, memory, used)
        report(row)
        rows.append(row)
    return rows, masking(masked) if len(masked) == len(MASKED) else None


def masking(masked: Mapping[str, Measured]) -> dict:
    """Hold M-TTFS with k = 0 against TTFS: equal sums, fewer spikes, tensor by tensor."""
    plain, mask = (masked[name] for name in MASKED)
    tensors: list[dict[str, Any]] = []
    for name, record in mask.activities.items():
        if record.kind == "weights":
            before = plain.activities[name].spikes
            factor = before / record.spikes if record.spikes else math.inf
            tensors.append(
                {"tensor": name, "ttfs": before, "mttfs": record.spikes, "factor": factor}
            )
    return {
        "equal": plain.digests == mask.digests,
        "matrices": len(plain.digests),
        "tensors": tensors,
        "factor": sum(t["ttfs"] for t in tensors) / max(1, sum(t["mttfs"] for t in tensors)),
    }


def make_row(
    baseline: Baseline,
    measured: Measured,
    reference: Tensor,
    comparison: Comparison,
    technologies: list[Technology],
    memory: str,
    macro: MacroEnergy | None,
) -> dict:
    """Return what JSON holds of a baseline; counts, bytes and joules are those of a mean token."""
    result = perplexity_of(measured.losses)
    difference = paired(measured.losses, reference)
    tokens = len(comparison.tokens)
    row = {
        "name": baseline.name,
        "label": baseline.label,
        "rung": baseline.rung,
        "origin": baseline.origin,
        "table": baseline.table,
        "crossbar": macro.technology if macro else None,
        "perplexity": result.perplexity,
        "nll": result.nll,
        "nll_stderr": result.nll_stderr,
        "ratio": math.exp(difference.mean),
        "difference": difference.mean,
        "difference_stderr": difference.stderr,
        **_counts(baseline, measured, comparison),
        "energy": {},
    }
    for technology in technologies:
        for counting in COUNTINGS:
            entry = row["energy"].setdefault(technology.name, {})
            try:
                entry[counting] = energy(
                    records(baseline, measured, comparison),
                    technology,
                    config=comparison.model.config,
                    tokens=tokens,
                    window=comparison.window,
                    dense_bits=baseline.dense_bits,
                    counting=counting,
                    memory=memory,
                    macro=macro,
                ).as_json()
            except MissingConstantError as error:
                entry[counting] = None
                entry["missing"] = str(error)
    return row


def records(baseline: Baseline, measured: Measured, comparison: Comparison) -> list[Activity]:
    """List what a row did; of float, which codes nothing, all products."""
    if measured.activities:
        return list(measured.activities.values())
    assert comparison.checkpoint is not None
    made, config = [], comparison.model.config
    widths = {"attn_output": config.heads * config.head_width, "ffn_down": config.ffn_width}
    for tensor, (weights, rows) in matrix_shapes(comparison.checkpoint).items():
        record = weight_activity(tensor, weights, rows)
        record.integers = len(comparison.tokens) * widths.get(site_of(tensor), config.width)
        record.products = record.integer_products = record.integers * rows
        made.append(record)
    return made


def _counts(baseline: Baseline, measured: Measured, comparison: Comparison) -> dict:
    tokens = len(comparison.tokens)
    total = totals(records(baseline, measured, comparison))
    if not measured.activities:
        shares = dict.fromkeys(("silent", "spike", "integer"))
        empty = dict.fromkeys(("steps", "window_steps", "window", "events"))
        return shares | empty | {"bytes": 4 * total.products / tokens, "layers": []}
    dense = baseline.dense_bits
    blocks = sum(
        -(-record.elements // tokens // 32)
        for record in measured.activities.values()
        if record.kind == "weights"
    )
    return {
        "silent": total.silent / total.elements,
        "spike": total.spikes / total.elements,
        "integer": total.integers / total.elements,
        "steps": total.steps / tokens,
        "window_steps": total.window_steps / tokens,
        "window": total.window_steps / tokens / blocks,
        "events": (total.events + total.integers) / tokens,
        "bytes": sum(
            (record.dense_read_bits if dense else record.read_bits) / 8 / tokens
            for record in measured.activities.values()
            if record.kind == "weights"
        ),
        "layers": layer_rows(measured.activities.values(), tokens, dense=bool(dense)),
    }
