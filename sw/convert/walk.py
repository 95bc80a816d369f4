"""Walks along the planner's frontier and measures it, until a budget is spent."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from sw.convert.container import ConvertedModel
from sw.convert.planner import Choice, Planner
from sw.energy.activity import totals
from sw.energy.measure import golden_run
from sw.errors import UserError
from sw.golden.matrix import Matrix
from sw.golden.perplexity import paired, perplexity_of

#: Prices at which tables are compared and the walk begins: nats for all of the objective.
PRICES = tuple(0.005 * 2**i for i in range(14))

#: Measurements between the price that fits the budget and the one that does not.
_BISECTIONS = 2

#: Halvings of the price at which a share is silent.
_HALVINGS = 16

#: A plan may be predicted to cost this many budgets, if it measures less.
_TRUST = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A measured point of the frontier.

    Attributes
    ----------
    table : str
        Code table.
    price, predicted, cost : float
        Of the planner's choice; ``predicted`` is its loss in nats.
    perplexity, ratio, difference_stderr : float
        On the verification text; the ratio is to the most accurate plan, with the standard error
        of the paired difference of log-losses.
    silent, integer : float
        Shares of elements.
    steps, bytes : float
        Occupied steps, and bytes of weights that a mean token reads.
    """

    table: str
    price: float
    predicted: float
    cost: float
    perplexity: float
    ratio: float
    difference_stderr: float
    silent: float
    integer: float
    steps: float
    bytes: float


@dataclasses.dataclass(kw_only=True)
class Walk:
    """What a walk found.

    Attributes
    ----------
    model : ConvertedModel
        The cheapest within the budget.
    choice : Choice
        What it was made from.
    points : list of Point
        Everything that was measured, the most accurate plan first.
    """

    model: ConvertedModel
    choice: Choice
    points: list[Point]


def parse_share(option: str, text: str) -> float:
    """Read a share such as ``1%`` or ``0.01``.

    Raises
    ------
    UserError
        If it is none, or negative.
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise UserError(f"{option} must be a share such as 1% or 0.01, not {text!r}") from None
    if not 0 <= value < math.inf:
        raise UserError(f"{option} must be 0 or more, not {text}")
    return value


def best_table(planners: Iterable[Planner], budget: float) -> Planner:
    """Choose the planner that is predicted to be cheapest within a budget over the best of all.

    Parameters
    ----------
    planners : iterable of Planner
        One for each code table.
    budget : float
        Share by which perplexity may rise.
    """
    traced = [(p, [p.choose(price) for price in (0.0, *PRICES)]) for p in planners]
    least = min(choices[0].loss for _, choices in traced)
    allowed = least + math.log1p(budget)

    def key(item: tuple[Planner, list[Choice]]) -> tuple[bool, float]:
        fitting = [choice.cost for choice in item[1] if choice.loss <= allowed]
        return (not fitting, min(fitting) if fitting else item[1][0].loss)

    return min(traced, key=key)[0]


def price_of_silence(choose: Callable[[float], Choice], silent: float) -> float:
    """Find the least price at which a share of the elements is predicted to be silent.

    Raises
    ------
    UserError
        If no plan is that silent.
    """
    low, high = 0.0, 2 * PRICES[-1]
    if choose(high).silent < silent:
        raise UserError(
            f"--silence asks for {silent:.1%}, the most silent plan has {choose(high).silent:.1%}"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if choose(middle).silent >= silent else (middle, high)
    return high


def walk(
    model: ConvertedModel,
    planner: Planner,
    tokens: Tensor,
    *,
    window: int,
    budget: float,
    silent: float | None = None,
    single: bool = False,
    report: Callable[[Point], None] = lambda point: None,
) -> Walk:
    """Find the cheapest plan whose perplexity is within a budget.

    Parameters
    ----------
    model : ConvertedModel
        Its weights; its quantizers are replaced.
    planner : Planner
        Source of the choices.
    tokens : Tensor
        int64: verification text, another than the planner's.
    window : int
        Tokens that are read together.
    budget : float
        Share by which perplexity may be above that of the most accurate plan. A measured rise fits
        if it exceeds the budget by no more than its standard error, and its prediction by no more
        than the budget itself.
    silent : float, optional
        Instead of a budget, the share of elements that must be silent.
    single : bool
        One setting for all tensors instead of one for each.
    report : callable
        Receives every point when it is measured.
    """
    choose = planner.choose_global if single else planner.choose
    matrices: Mapping[str, Matrix] | None = None
    reference: Tensor | None = None
    points: list[Point] = []

    def measure(price: float) -> tuple[Choice, ConvertedModel, Point]:
        nonlocal matrices, reference
        choice = choose(price)
        planned = planner.apply(model, choice)
        run = golden_run(planned, tokens, window=window, matrices=matrices)
        matrices = run.matrices
        reference = run.losses if reference is None else reference
        difference = paired(run.losses, reference)
        total = totals(run.activities.values())
        count = len(tokens) // window * window
        point = Point(
            table=planner.table.name,
            price=price,
            predicted=choice.loss,
            cost=choice.cost,
            perplexity=perplexity_of(run.losses).perplexity,
            ratio=math.exp(difference.mean),
            difference_stderr=difference.stderr,
            silent=total.silent / total.elements,
            integer=total.integers / total.elements,
            steps=total.steps / count,
            bytes=sum(
                record.read_bits / 8 / count
                for record in run.activities.values()
                if record.kind == "weights"
            ),
        )
        points.append(point)
        report(point)
        return choice, planned, point

    least = best = measure(0.0)
    if silent is not None:
        best = measure(price_of_silence(choose, silent))
        return Walk(model=best[1], choice=best[0], points=points)
    if not budget:
        return Walk(model=least[1], choice=least[0], points=points)
    rise = math.log1p(budget)

    def fits(attempt: tuple[Choice, ConvertedModel, Point]) -> bool:
        choice, _, point = attempt
        measured = math.log(point.ratio) - point.difference_stderr
        return measured <= rise and choice.loss - least[0].loss <= _TRUST * rise

    # The prediction says where to begin; from there, up to the first price that does not fit.
    losses = [choose(price).loss - least[0].loss for price in PRICES]
    index = max((i for i, loss in enumerate(losses) if loss <= rise), default=0)
    failed = math.inf
    while 0 <= index < len(PRICES):
        attempt = measure(PRICES[index])
        if fits(attempt):
            best = attempt
            if failed < math.inf:
                break
            index += 1
        else:
            failed = PRICES[index]
            if best is not least:
                break
            index -= 1
    for _ in range(_BISECTIONS if failed < math.inf else 0):
        low = best[0].price
        attempt = measure(math.sqrt(low * failed) if low else failed / 2)
        if fits(attempt):
            best = attempt
        else:
            failed = attempt[0].price
    return Walk(model=best[1], choice=best[0], points=points)
