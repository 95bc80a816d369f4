"""What the products of a run did: the counts that energy is computed from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BITS, WeightFormat
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded, encode
from sw.golden.counters import occupied_steps
from sw.golden.crossbar_linear import CrossbarLinear
from sw.golden.linear import GoldenLinear, input_site
from sw.golden.sums import windows

#: Kinds of products: by stored weights, by cached keys, by cached values.
WEIGHTS, KEYS, VALUES = "weights", "keys", "values"

#: Columns of a 4-bit weight on a crossbar: magnitudes of 3 bits, positive and negative.
_COLUMNS = 2


@dataclasses.dataclass(kw_only=True)
class Activity:
    """What the inputs of one product did, summed over tokens.

    Attributes
    ----------
    name : str
        Tensor that is coded: ``layers.3.ffn_down``, ``layers.3.query``, ``head`` and so on.
    kind : str
        ``"weights"``, or for attention ``"keys"`` and ``"values"``.
    weight_bits, scale_bits : int
        Bits of a stored weight, and of the scales of a group and output.
    outputs : int
        Outputs of the product; 0 for attention, where they vary.
    silent, spikes, integers : int
        Elements by class.
    events : int
        Spikes that fire; of a rate code more than one per element.
    digits : int
        Digits of integers that fire where lanes have no multiplier.
    steps, window_steps : int
        Occupied time steps, and those of the whole windows, over all blocks of 32.
    products : int
        Elements times outputs.
    spike_products, integer_products, digit_products, event_products, step_products : int
        The same counts, each times the outputs that it reaches.
    group_products : int
        Groups times outputs: sums that the scaler scales.
    conversions, raised_lines : int
        Of crossbars, else 0: outputs converted, in each time step, and lines that were raised in
        them, summed over the outputs.
    """

    name: str
    kind: str = WEIGHTS
    weight_bits: int
    scale_bits: int = 0
    outputs: int = 0
    silent: int = 0
    spikes: int = 0
    integers: int = 0
    events: int = 0
    digits: int = 0
    steps: int = 0
    window_steps: int = 0
    products: int = 0
    spike_products: int = 0
    integer_products: int = 0
    digit_products: int = 0
    event_products: int = 0
    step_products: int = 0
    group_products: int = 0
    conversions: int = 0
    raised_lines: int = 0

    @property
    def elements(self) -> int:
        """Elements of all classes."""
        return self.silent + self.spikes + self.integers

    @property
    def read_bits(self) -> int:
        """Bits of weights and scales that are read, a row once for each spike or integer.

        Cells of crossbars are not read, but the scales of their sums are.
        """
        fired = 0 if self.conversions else self.event_products + self.integer_products
        return fired * self.weight_bits + self.group_products * self.scale_bits

    @property
    def dense_read_bits(self) -> int:
        """Bits that are read if nothing is skipped."""
        return self.products * self.weight_bits + self.group_products * self.scale_bits

    def add(self, *, outputs: int, groups: int, **counts: int) -> None:
        """Add counts of elements that all reach the same number of outputs."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)
        self.products += outputs * sum(counts[key] for key in ("silent", "spikes", "integers"))
        self.spike_products += outputs * counts["spikes"]
        self.integer_products += outputs * counts["integers"]
        self.digit_products += outputs * counts["digits"]
        self.event_products += outputs * counts["events"]
        self.step_products += outputs * counts["steps"]
        self.group_products += outputs * groups


def on_crossbars(record: Activity) -> Activity:
    """Return what a matrix does on crossbars that lose nothing, from what its codes do.

    Weights of 4 bits take two columns, of their positive and negative magnitudes, each converted in
    every occupied time step; lines are raised by spikes and by digits of integers.
    """
    if record.kind != WEIGHTS or not record.steps:
        return record
    conversions = record.step_products * (record.weight_bits // 4) * _COLUMNS
    raised = conversions * (record.events + record.digits) // record.steps
    return dataclasses.replace(record, conversions=conversions, raised_lines=raised)


def vector_counts(encoded: Encoded) -> dict[str, Tensor]:
    """Count the codes of every vector, as `Activity.add` takes them; each of shape (...)."""
    coarse, fine = windows(encoded)
    integers = encoded.classes == CodeClass.INTEGER
    spikes = (encoded.classes == CodeClass.SPIKE).sum((-2, -1))
    silent = (encoded.classes == CodeClass.SILENT).sum((-2, -1))
    digits = (coarse != 0).sum((-2, -1)) + ((fine != 0) & integers).sum((-2, -1))
    steps = occupied_steps(coarse.abs()).sum(-1) + occupied_steps(fine.abs()).sum(-1)
    return {
        "silent": silent,
        "spikes": spikes,
        "integers": integers.sum((-2, -1)),
        "events": spikes,
        "digits": digits,
        "steps": steps,
        "window_steps": torch.full_like(spikes, encoded.scales.shape[-1] * encoded.table.steps),
    }


def code_counts(magnitudes: Tensor, integers: Tensor, *, steps: int) -> dict[str, int]:
    """Count codes that are no table's: of fake-quantized baselines.

    Parameters
    ----------
    magnitudes : Tensor
        int64, shape (vectors, K): levels of spikes and magnitudes of integers.
    integers : Tensor
        bool: which are integers.
    steps : int
        Length of the window.
    """
    padded = torch.nn.functional.pad(magnitudes, (0, -magnitudes.shape[-1] % BLOCK))
    mask = torch.nn.functional.pad(integers, (0, -integers.shape[-1] % BLOCK))
    fired = (magnitudes != 0) & ~integers
    return {
        "silent": int((magnitudes == 0).sum()),
        "spikes": int(fired.sum()),
        "integers": int(((magnitudes != 0) & integers).sum()),
        "events": int(fired.sum()),
        "digits": 0,
        "steps": int(occupied_steps(padded.masked_fill(mask, 0).unflatten(-1, (-1, BLOCK))).sum()),
        "window_steps": steps * padded.numel() // BLOCK,
    }


def weight_activity(tensor: str, weights: WeightFormat, outputs: int) -> Activity:
    """Make the empty record of a matrix's input."""
    bits = {"w4": (4, 16), "w8": (8, 8)}[weights.name]
    return Activity(name=tensor, weight_bits=bits[0], scale_bits=bits[1], outputs=outputs)


class ActivityMeter(GoldenLinear):
    """Golden product that records what every tensor did; attention too, as an observer.

    Attributes
    ----------
    activities : dict of str to Activity
        By tensor, in the order of the data's flow.
    digesting : bool
        Whether accumulators are hashed; false at first.
    hashes : dict
        Hash of all accumulators and base exponents of each matrix.
    """

    digesting = False

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.activities: dict[str, Activity] = {}
        self.hashes: dict[str, Any] = {}

    def __call__(self, name, matrix, x):
        """Multiply vectors and record their codes."""
        tensor = input_site(name)
        quantizer = self.model.quantizer(tensor, self.table.name)
        if tensor not in self.activities:
            self.activities[tensor] = weight_activity(
                tensor, matrix.weights.format, matrix.weights.rows
            )
            if quantizer.silent_level != self.table.zero:  # row sums are read too
                lanes = matrix.weights.format.lanes_per_output
                self.activities[tensor].scale_bits += SUM_BITS * lanes
        encoded = encode(
            x,
            table=self.table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent_level=quantizer.silent_level,
            shared=self.shared,
        )
        counts = {key: int(count.sum()) for key, count in vector_counts(encoded).items()}
        rows = matrix.weights.rows
        self.activities[tensor].add(outputs=rows, groups=encoded.scales.numel(), **counts)
        accumulators = self.product(name, matrix, encoded)
        if self.digesting:
            hashed = self.hashes.setdefault(name, hashlib.blake2b(digest_size=16))
            for part in (accumulators, encoded.base):
                hashed.update(part.contiguous().numpy())
        return accumulators, encoded.base

    def observe(self, tensor: str, encoded: Encoded, first: int) -> None:
        """Record codes of attention, shape (kv heads, shared, tokens, groups, 32).

        An element of a query meets the keys of all tokens up to its own, a probability the value of
        its token: a head wide.
        """
        query = tensor.endswith(".query")
        activity = self.activities.setdefault(
            tensor, Activity(name=tensor, kind=KEYS if query else VALUES, weight_bits=8)
        )
        heads = encoded.classes[:, :, 0, 0, 0].numel()
        by_token = {key: count.sum((0, 1)) for key, count in vector_counts(encoded).items()}
        seen = first + 1 + torch.arange(encoded.classes.shape[2])
        if not query:
            fired = by_token["spikes"] + by_token["integers"]
            by_token["silent"] = heads * seen - fired
            counts = {key: int(count.sum()) for key, count in by_token.items()}
            activity.add(outputs=self.model.config.head_width, groups=0, **counts)
            return
        groups = heads * encoded.scales.shape[-1]
        for token, outputs in enumerate(seen.tolist()):
            counts = {key: int(count[token]) for key, count in by_token.items()}
            activity.add(outputs=outputs, groups=groups, **counts)


class CrossbarActivityMeter(ActivityMeter, CrossbarLinear):
    """The same on crossbars, of which conversions and raised lines are recorded, too."""

    def product(self, name, matrix, encoded):
        """Multiply on the matrix's arrays; record what these did."""
        before = dict(self.counters)
        result = super().product(name, matrix, encoded)
        conversions, lines = (self.counters[n] - before[n] for n in ("conversions", "lines_raised"))
        record = self.activities[input_site(name)]
        record.conversions += conversions
        record.raised_lines += lines * self._lanes * len(self.crossbar.cells.readings)
        return result


def totals(activities: Iterable[Activity], kind: str = WEIGHTS) -> Activity:
    """Sum up the records of one kind."""
    total = Activity(name=kind, kind=kind, weight_bits=0)
    for activity in activities:
        if activity.kind == kind:
            for field in dataclasses.fields(Activity):
                if field.name not in ("name", "kind", "weight_bits", "scale_bits", "outputs"):
                    value = getattr(total, field.name) + getattr(activity, field.name)
                    setattr(total, field.name, value)
    return total


def layer_rows(
    activities: Iterable[Activity], tokens: int, *, dense: bool = False
) -> list[dict[str, Any]]:
    """Describe tensors for JSON: shares of elements, and steps and bytes of a mean token."""
    return [
        {
            "tensor": record.name,
            "silent": record.silent / record.elements,
            "spike": record.spikes / record.elements,
            "integer": record.integers / record.elements,
            "steps": record.steps / tokens,
            "window_steps": record.window_steps / tokens,
            "bytes": (record.dense_read_bits if dense else record.read_bits) / 8 / tokens,
        }
        for record in activities
    ]
