"""Predictions against what happens, choices against an exhaustive search."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.scales import scale_constant
from sw.convert.convert import convert
from sw.convert.planner import FACTORS, THRESHOLDS, Planner, options_of, prices
from sw.convert.sensitivity import Observed, normalized, observe
from sw.convert.walk import best_table, parse_share, price_of_silence, walk
from sw.energy.technology import load_technology
from sw.errors import UserError
from sw.golden.classify import CodeClass
from sw.golden.codes import encode
from sw.load.gguf import load_gguf
from sw.models import bundled_model

WINDOW = 64


@pytest.fixture(scope="module")
def checkpoint():
    return load_gguf(bundled_model())


@pytest.fixture(scope="module")
def model(checkpoint):
    return convert(checkpoint)


@pytest.fixture(scope="module")
def tokens(checkpoint):
    with open("tests/data/persuasion_excerpt.txt", encoding="utf-8") as file:
        return torch.tensor(checkpoint.tokenizer.encode(file.read()))


@pytest.fixture(scope="module")
def observations(checkpoint, tokens):
    return observe(checkpoint, tokens[: 4 * WINDOW], window=WINDOW, vectors=32)


def make(model, observations, **options):
    given = {
        "table": "companded",
        "objective": "energy",
        "technology": load_technology("22nm"),
        "largest_integer": 0.03,
    }
    return Planner(model, observations.tensors, **given | options)


@pytest.fixture(scope="module")
def planner(model, observations):
    return make(model, observations)


def test_every_tensor_is_observed(model, observations):
    coded = {tensor for tensor in model.quantizers if not tensor.endswith("probability")}
    assert set(observations.tensors) == coded
    for tensor, seen in observations.tensors.items():
        assert 2**14 <= int(seen.x.abs().amax(-1).max()) <= 32767
        assert (seen.sensitivity >= 0).all() and seen.sensitivity.sum() > 0
        heads = model.config.heads if tensor.endswith("query") else 1
        assert len(seen.x) == 32 * heads and seen.vectors_per_token == heads
    assert "head" not in observations.moments
    moment = observations.moments["layers.0.ffn_down"]
    assert moment.shape == (192, 192) and torch.allclose(moment, moment.T)


def test_observation_is_reproducible(checkpoint, tokens):
    both = [
        observe(checkpoint, tokens[:WINDOW], window=WINDOW, vectors=16, seed=seed)
        for seed in (3, 3, 4)
    ]
    first, second, other = (o.tensors["layers.1.ffn_gate"].sensitivity for o in both)
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_normalized_vectors_keep_their_ratios():
    x = torch.tensor([[1.0, -0.5, 0.25], [0.0, 0.0, 0.0], [3e-5, 1.5e-5, 0.0]])
    got = normalized(x, torch.ones(3, 3), vectors_per_token=1)
    assert got.x[0].tolist() == [16384, -8192, 4096]
    assert got.x[1].tolist() == [0, 0, 0]
    assert 2**14 <= int(got.x[2, 0]) <= 32767 and got.x[2, 0] == 2 * got.x[2, 1]
    # An error of one unit of x costs half the square of the gradient times the unit.
    assert got.sensitivity[0, 0] == (1 / 16384) ** 2 / 2


@pytest.mark.parametrize("table", ["companded", "fp4", "mttfs"])
def test_options_equal_their_encodings(table):
    generator = torch.Generator().manual_seed(5)
    x = (torch.randn(6, 70, generator=generator) * 3000).long()
    weight = torch.rand(6, 70, generator=generator).double()
    seen = Observed(x=x, sensitivity=weight)
    options = options_of(seen, "layers.0.ffn_down", TABLES[table])
    assert options.elements == 70
    for row, column in [(0, 0), (9, 0), (9, 5), (14, 36), (3, 20)]:
        encoded = encode(
            x,
            table=TABLES[table],
            constant=options.constants[row],
            threshold=THRESHOLDS[column],
            silent_level=options.silent_level,
        )
        value = encoded.scaled * 2.0 ** (encoded.base[:, None] - 4)
        wanted = ((value - x).square() * weight).sum() / 6
        assert float(options.loss[row, column]) == pytest.approx(float(wanted))
        for kind, counted in ((CodeClass.SPIKE, "spikes"), (CodeClass.INTEGER, "integers")):
            count = float((encoded.classes == kind).sum()) / 6
            assert float(getattr(options, counted)[row, column]) == pytest.approx(count)


def test_dearer_cost_means_less_cost_and_more_loss(planner):
    choices = [planner.choose(price) for price in (0.0, 0.02, 0.1, 0.5, 2.0)]
    assert all(choice.integer <= 0.03 for choice in choices)
    for near, far in zip(choices, choices[1:], strict=False):
        assert far.cost <= near.cost + 1e-9 and far.loss >= near.loss - 1e-9
    assert choices[-1].silent > choices[0].silent + 0.1


def test_choice_is_the_best_of_all(planner):
    price = 0.1
    choice = planner._choose(price, 0.0)
    for tensor in ("layers.0.ffn_down", "head"):
        totals = planner._totals(tensor, price, 0.0)
        chosen = choice.quantizers[tensor]
        row = planner.options[tensor].constants.index(chosen.constant)
        assert totals[row, THRESHOLDS.index(chosen.threshold)] == totals.min()
    assert all(q.threshold == 4 for t, q in choice.quantizers.items() if t.endswith("query"))


def test_one_setting_for_all_is_never_predicted_better(planner):
    for price in (0.0, 0.1, 0.5):
        own, single = planner.choose(price), planner.choose_global(price)
        assert own.loss + price * own.cost <= single.loss + price * single.cost + 1e-9
        factors = {
            planner.options[tensor].constants.index(quantizer.constant)
            for tensor, quantizer in single.quantizers.items()
        }
        assert len(factors) == 1
        assert len({q.threshold for t, q in single.quantizers.items() if "query" not in t}) == 1


def test_objectives_weigh_differently(model):
    constants = load_technology("22nm")
    by_bytes, by_cycles = (prices(model, name, constants) for name in ("bytes", "cycles"))
    rows = model.config.vocabulary
    assert by_bytes["head"].spike == by_bytes["head"].integer == rows
    assert by_cycles["head"].integer == 2 * by_cycles["head"].spike
    joules = prices(model, "energy", constants)["head"]
    assert joules.integer > joules.spike > 0
    with pytest.raises(UserError, match="one of energy, bytes, cycles, events, not 'beauty'"):
        prices(model, "beauty", constants)


def test_shipped_constants_are_among_the_options():
    assert 1.0 in FACTORS and scale_constant(1.0) == 367


def test_applied_choice_reaches_the_container(planner, model):
    choice = planner.choose(0.5)
    planned = planner.apply(model, choice)
    assert (
        planned.quantizer("layers.1.ffn_down", "companded")
        == choice.quantizers["layers.1.ffn_down"]
    )
    assert planned.quantizer("layers.1.ffn_down", "signed8") == model.quantizer(
        "layers.1.ffn_down", "signed8"
    )
    assert planned.table == "companded"


def test_walk_stays_within_its_budget_on_its_text(planner, model, tokens):
    points = []
    result = walk(
        model, planner, tokens[-4 * WINDOW :], window=WINDOW, budget=0.05, report=points.append
    )
    assert points == result.points and points[0].price == 0 and points[0].ratio == 1
    chosen = next(point for point in points if point.price == result.choice.price)
    assert math.log(chosen.ratio) - chosen.difference_stderr <= math.log1p(0.05)
    assert chosen.silent > points[0].silent and chosen.bytes < points[0].bytes
    nothing = walk(model, planner, tokens[-WINDOW:], window=WINDOW, budget=0.0)
    assert nothing.choice.price == 0 and len(nothing.points) == 1


def test_a_share_of_silence_is_reached_at_its_least_price(planner):
    price = price_of_silence(planner.choose, 0.25)
    assert planner.choose(price).silent >= 0.25 > planner.choose(0.99 * price).silent - 0.01
    with pytest.raises(UserError, match="--silence asks for 99.9%, the most silent plan has"):
        price_of_silence(planner.choose, 0.999)


def test_best_table_is_the_cheapest_within_the_budget(planner):
    dear = SimpleNamespace(choose=lambda price: SimpleNamespace(loss=1.0 + price, cost=0.1))
    assert best_table([dear, planner], 0.01) is planner


def test_shares_are_read():
    assert parse_share("--budget", "1%") == 0.01 and parse_share("--budget", "0.5") == 0.5
    with pytest.raises(UserError, match="--budget must be a share such as 1% or 0.01, not 'few'"):
        parse_share("--budget", "few")
    with pytest.raises(UserError, match="--budget must be 0 or more, not -1%"):
        parse_share("--budget", "-1%")


def test_short_texts_are_refused(checkpoint):
    with pytest.raises(UserError, match="has 5 tokens, one window takes 8; give a longer one"):
        observe(checkpoint, torch.arange(5), window=8)


def test_masked_tables_take_the_most_frequent_level(observations):
    seen = observations.tensors["layers.0.attn_output"]
    shifted = dataclasses.replace(seen, x=(seen.x + 9000).clamp_max(32767))
    levels = [
        options_of(s, "layers.0.attn_output", TABLES["mttfs"]).silent_level for s in (seen, shifted)
    ]
    assert levels[0] == 8 and levels[1] > 8
