"""Chooses scale constants and silence thresholds, tensor by tensor, under a budget.

Every tensor has options: scale constants times thresholds. What an option costs in log-loss is
predicted (`sw.convert.sensitivity`), what it costs in energy, bytes or cycles is counted. For a
price of cost in log-loss each tensor takes its cheapest option by itself; prices trace a frontier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.scales import CONSTANT_BITS, SCALE_FRACTION, scale_constant
from sw.convert.calibrate import most_frequent_level
from sw.convert.container import ConvertedModel, Quantizer
from sw.convert.defaults import ratio, site_of
from sw.convert.sensitivity import Observed
from sw.energy.technology import Technology
from sw.errors import UserError
from sw.golden.attention import query_table
from sw.golden.classify import CodeClass
from sw.golden.codes import encode

OBJECTIVES = ("energy", "bytes", "cycles", "events")

#: Factors on the shipped scale constant that are tried.
FACTORS = tuple(2 ** (step / 4) for step in range(-9, 6))

#: Silence thresholds that are tried, in eighths of the scale.
THRESHOLDS = tuple(range(4, 41))

_QUERY = "query"
_TILE = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What each option of a tensor does to a mean token.

    Attributes
    ----------
    constants : list of int
        Scale constants.
    silent_level : int
        Level that is silent.
    elements : int
        Elements of a token.
    loss : Tensor
        Predicted rise of the log-loss, nats a token, shape (constants, thresholds).
    spikes, integers : Tensor
        Elements of a token, of that shape.
    """

    constants: list[int]
    silent_level: int
    elements: int
    loss: Tensor
    spikes: Tensor
    integers: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price:
    """What a spike and an integer of a tensor cost."""

    spike: float
    integer: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One point of the frontier, predicted.

    Attributes
    ----------
    quantizers : dict of str to Quantizer
        By tensor.
    loss : float
        Predicted rise of the log-loss, nats a token.
    cost : float
        Objective of a token, relative to no silence at all and no integers.
    silent, integer : float
        Shares of the elements of linear inputs.
    price : float
        Nats per relative cost that led here.
    """

    quantizers: dict[str, Quantizer]
    loss: float
    cost: float
    silent: float
    integer: float
    price: float


def options_of(observed: Observed, tensor: str, table: CodeTable) -> Options:
    """Evaluate all options of one tensor."""
    start = ratio(tensor, table.name)
    largest = (1 << CONSTANT_BITS) - 1
    constants = [min(largest, scale_constant(start * factor)) for factor in FACTORS]
    vectors = len(observed.x) / observed.vectors_per_token
    level = table.silent_level
    if table.masked:
        encoded = encode(observed.x, table=table, constant=scale_constant(start))
        level = most_frequent_level(encoded)
    parts = [_by_threshold(observed, table, constant, level) for constant in constants]
    loss, spikes, integers = (torch.stack(part) / vectors for part in zip(*parts, strict=True))
    return Options(
        constants=constants,
        silent_level=level,
        elements=round(observed.x.numel() / vectors),
        loss=loss,
        spikes=spikes,
        integers=integers,
    )


def _by_threshold(
    observed: Observed, table: CodeTable, constant: int, level: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum up loss, spikes and integers for every threshold from one encoding."""
    encoded = encode(observed.x, table=table, constant=constant, silent_level=level)
    coded = encoded.classes != CodeClass.PADDING
    silent_value = level - table.zero
    scale = (encoded.scales << encoded.base[..., None]).double()[..., None] / 2**SCALE_FRACTION
    missing = -observed.x.shape[-1] % BLOCK
    x, weight = (
        torch.nn.functional.pad(part, (0, missing)).unflatten(-1, (-1, BLOCK)).double()
        for part in (observed.x, observed.sensitivity)
    )
    distance = (8 * (x / scale - silent_value)).abs().floor().long()
    error = (encoded.decoded * scale - x).square() * weight
    silenced = (silent_value * scale - x).square() * weight
    fires = (encoded.classes != CodeClass.SILENT) & coded
    # What changes when the threshold rises above an element that still fires.
    bins = THRESHOLDS[-1] + 1
    place = distance.clamp_max(bins - 1)[fires]

    def lost(values: Tensor) -> Tensor:
        summed = torch.bincount(place, weights=values[fires].double(), minlength=bins)
        below = torch.cat([torch.zeros(1, dtype=torch.float64), summed.cumsum(0)])
        return below[list(THRESHOLDS)]

    spikes = (encoded.classes == CodeClass.SPIKE).double()
    integers = (encoded.classes == CodeClass.INTEGER).double()
    return (
        error[coded].sum() + lost(silenced - error),
        spikes.sum() - lost(spikes),
        integers.sum() - lost(integers),
    )


def check_objective(objective: str) -> str:
    """Return an objective.

    Raises
    ------
    UserError
        If there is no such one.
    """
    if objective not in OBJECTIVES:
        raise UserError(f"--objective must be one of {', '.join(OBJECTIVES)}, not {objective!r}")
    return objective


def prices(model: ConvertedModel, objective: str, technology: Technology) -> dict[str, Price]:
    """Tell what events of every tensor cost.

    ``energy``: picojoules, events moved once per tile. ``bytes``: of weights. ``cycles``: of lanes
    without multipliers, where an integer fires twice, relative to the lanes. ``events``: one each,
    however many outputs they reach.

    Raises
    ------
    UserError
        If there is no such objective.
    """
    check_objective(objective)
    result = {}
    names = {"attn_q": "qkv", "ffn_gate": "gate_up"}
    for tensor in model.quantizers:
        *prefix, site = tensor.split(".")
        if site in (_QUERY, "probability"):
            continue
        name = ".".join([*prefix, names.get(site, site)])
        matrix = model.head if site == "head" else model.matrices[name]
        bits = 4 if matrix.format.name == "w4" else 8
        if objective == "events":
            result[tensor] = Price(spike=1.0, integer=1.0)
        elif objective == "bytes":
            each = matrix.rows * bits / 8
            result[tensor] = Price(spike=each, integer=each)
        elif objective == "cycles":
            each = matrix.rows * bits / 4
            result[tensor] = Price(spike=each, integer=2 * each)
        else:
            read = matrix.rows * bits * technology["sram"]
            add = matrix.rows * bits / 4 * technology["accumulate"]
            move = -(-matrix.rows // _TILE) * technology["move"]
            result[tensor] = Price(spike=read + add + 6 * move, integer=read + 2 * add + 13 * move)
    return result


class Planner:
    """Chooses options of all tensors.

    Parameters
    ----------
    model : ConvertedModel
        What is planned for.
    observed : mapping of str to Observed
        What a calibration text does to its tensors.
    table : str
        Code table.
    objective : str
        One of ``OBJECTIVES``.
    technology : Technology
        Constants of ``energy``.
    largest_integer : float
        Largest share of integers among all elements.
    """

    def __init__(
        self,
        model: ConvertedModel,
        observed: Mapping[str, Observed],
        *,
        table: str,
        objective: str,
        technology: Technology,
        largest_integer: float,
    ) -> None:
        self.table, self.largest_integer = TABLES[table], largest_integer
        self.query_table = query_table(self.table)
        self.prices = prices(model, objective, technology)
        self.options = {
            tensor: options_of(
                seen, tensor, self.query_table if site_of(tensor) == _QUERY else self.table
            )
            for tensor, seen in observed.items()
        }
        linear = [options for tensor, options in self.options.items() if tensor in self.prices]
        if not linear:
            raise ValueError("wanted observations of linear inputs, got none")
        self._elements = sum(options.elements for options in linear)
        self._full = sum(
            self.options[tensor].elements * price.spike for tensor, price in self.prices.items()
        )

    def choose(self, price: float) -> Choice:
        """Take the best option of every tensor.

        Parameters
        ----------
        price : float
            Nats that are paid for saving all of the objective; 0 asks for accuracy alone.
        """
        low, high = 0.0, 1.0
        choice = self._choose(price, 0.0)
        if choice.integer <= self.largest_integer:
            return choice
        while (choice := self._choose(price, high)).integer > self.largest_integer:
            low, high = high, 4 * high
            if high > 1e9:
                return choice
        for _ in range(30):
            middle = (low + high) / 2
            attempt = self._choose(price, middle)
            if attempt.integer > self.largest_integer:
                low = middle
            else:
                high, choice = middle, attempt
        return choice

    def _choose(self, price: float, integer_price: float) -> Choice:
        places = {}
        for tensor in self.options:
            total = self._totals(tensor, price, integer_price)
            places[tensor] = divmod(int(total.argmin()), total.shape[1])
        return self._choice(places, price)

    def choose_global(self, price: float) -> Choice:
        """Take the best single factor on the shipped constants, and one threshold for all."""
        grids = [self._totals(tensor, price, 0.0) for tensor in self.prices]
        combined = torch.stack(grids).sum(0)
        best = None
        for place in combined.flatten().argsort().tolist():
            row, column = divmod(place, combined.shape[1])
            places = {t: (row, column if t in self.prices else 0) for t in self.options}
            choice = self._choice(places, price)
            best = best or choice
            if choice.integer <= self.largest_integer:
                return choice
        assert best is not None
        return best

    def _totals(self, tensor: str, price: float, integer_price: float) -> Tensor:
        """Nats of every option, its cost included."""
        options, at = self.options[tensor], self.prices.get(tensor)
        if at is None:  # queries are coded without a dead zone
            return options.loss[:, :1]
        spent = (options.spikes * at.spike + options.integers * at.integer) / self._full
        return options.loss + price * spent + integer_price * options.integers / self._elements

    def _choice(self, places: Mapping[str, tuple[int, int]], price: float) -> Choice:
        quantizers, loss, cost, fired, integer = {}, 0.0, 0.0, 0.0, 0.0
        for tensor, (row, column) in places.items():
            options = self.options[tensor]
            quantizers[tensor] = Quantizer(
                constant=options.constants[row],
                threshold=THRESHOLDS[column],
                silent_level=options.silent_level,
            )
            loss += float(options.loss[row, column])
            if (at := self.prices.get(tensor)) is not None:
                spikes = float(options.spikes[row, column])
                integers = float(options.integers[row, column])
                cost += (spikes * at.spike + integers * at.integer) / self._full
                fired, integer = fired + spikes + integers, integer + integers
        return Choice(
            quantizers=quantizers,
            loss=loss,
            cost=cost,
            silent=1 - fired / self._elements,
            integer=integer / self._elements,
            price=price,
        )

    def apply(self, model: ConvertedModel, choice: Choice) -> ConvertedModel:
        """Return the model with the chosen quantizers, and this table as its own."""
        quantizers = {tensor: dict(tables) for tensor, tables in model.quantizers.items()}
        for tensor, quantizer in choice.quantizers.items():
            name = self.query_table.name if site_of(tensor) == _QUERY else self.table.name
            quantizers[tensor][name] = quantizer
        return dataclasses.replace(model, quantizers=quantizers, table=self.table.name)
