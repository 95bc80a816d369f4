"""Rows of the bundled model: none missing, the mask is free, the dead zone is not."""

import math

import pytest
import torch

from hw.spec.crossbar import PRESETS
from sw.compare.baselines import BASELINES
from sw.compare.run import Comparison, Measured, compare, masking, with_dead_zone
from sw.convert.convert import convert
from sw.energy.technology import load_technology
from sw.errors import UserError
from sw.golden.decoder import GoldenModel
from sw.load.gguf import load_gguf
from sw.models import bundled_model

TEXT = "tests/data/persuasion_excerpt.txt"
WINDOW = 48


@pytest.fixture(scope="module")
def comparison():
    checkpoint = load_gguf(bundled_model())
    with open(TEXT, encoding="utf-8") as file:
        ids = checkpoint.tokenizer.encode(file.read()[:4000])[: 2 * WINDOW + 5]
    return Comparison(convert(checkpoint), checkpoint, torch.tensor(ids), window=WINDOW)


@pytest.fixture(scope="module")
def result(comparison):
    return compare(comparison, [load_technology("22nm"), load_technology("45nm")])


@pytest.fixture(scope="module")
def rows(result):
    return {row["name"]: row for row in result[0]}


def test_no_row_is_missing(rows):
    wanted = {"float", "w4a8", "w4a4-naive", "w4a48-fixed", "rate8", "rate16", "ttfs256"}
    wanted |= {"ttfs16", "mttfs", "mttfs-k1", "mttfs-k2", "mttfs-k3"}
    wanted |= {"signed8", "signed16", "companded", "fp4"}
    wanted |= {"mttfs-k1-crossbar", "companded-crossbar"}
    assert set(rows) == wanted == {baseline.name for baseline in BASELINES}
    assert {rows[name]["rung"] for name in ("w4a4-naive", "w4a48-fixed", "rate8")} == {"fake"}
    assert rows["float"]["rung"] == "float" and rows["w4a8"]["rung"] == "golden"


def test_shares_add_up_and_ratios_are_paired(rows):
    reference = rows["float"]["nll"]
    for name, row in rows.items():
        assert row["difference"] == pytest.approx(row["nll"] - reference)
        assert row["ratio"] == pytest.approx(row["perplexity"] / rows["float"]["perplexity"])
        if name == "float":
            assert row["difference_stderr"] == 0
            continue
        assert row["silent"] + row["spike"] + row["integer"] == pytest.approx(1)
        # A paired difference varies less than the losses do.
        assert 0 < row["difference_stderr"] < row["nll_stderr"]
        assert row["steps"] > 0 and row["bytes"] > 0 and row["layers"]


@pytest.mark.parametrize("name", ["mttfs-k1", "companded"])
def test_crossbars_change_energy_only(rows, name):
    memory, crossbar = rows[name], rows[f"{name}-crossbar"]
    assert crossbar["nll"] == memory["nll"] and crossbar["steps"] == memory["steps"]
    assert memory["crossbar"] is None and crossbar["crossbar"] == "ye2023"
    assert 0 < crossbar["bytes"] < 0.5 * memory["bytes"]
    linear = [t for t in crossbar["layers"] if not t["tensor"].endswith(("query", "probability"))]
    assert crossbar["bytes"] == pytest.approx(sum(layer["bytes"] for layer in linear))
    for counting in ("synapse", "broadcast"):
        digital, analog = (row["energy"]["22nm"][counting] for row in (memory, crossbar))
        assert digital["adc"] == 0 < analog["adc"]
        assert analog["weights"] < digital["weights"] and analog["compute"] < digital["compute"]
        assert analog["movement"] == digital["movement"]


def test_sums_on_ideal_crossbars_are_those_in_memory(comparison):
    tokens = comparison.tokens[:3].tolist()
    logits = [
        GoldenModel(comparison.model, table="companded", **core).prefill(tokens)
        for core in ({}, {"crossbar": PRESETS["ideal"], "lanes": 32})
    ]
    assert torch.equal(*logits)


def test_the_mask_changes_no_sum_and_saves_spikes(result, rows):
    _, mask = result
    assert mask["equal"] and mask["matrices"] == len(mask["tensors"]) == 21
    assert all(tensor["factor"] > 1 for tensor in mask["tensors"])
    assert 1 < mask["factor"] < 2
    assert rows["mttfs"]["nll"] == rows["ttfs16"]["nll"]
    assert rows["mttfs"]["silent"] > rows["ttfs16"]["silent"]
    assert rows["mttfs"]["steps"] < rows["ttfs16"]["steps"]


def test_a_changed_sum_is_seen():
    rows = {name: Measured(losses=torch.zeros(1), activities={}) for name in ("ttfs16", "mttfs")}
    rows["ttfs16"].digests["head"] = rows["mttfs"].digests["head"] = "same"
    assert masking(rows)["equal"]
    rows["mttfs"].digests["head"] = "other"
    assert not masking(rows)["equal"]


def test_dead_zones_silence_more_and_cost_more(rows):
    zones = [rows[name] for name in ("mttfs", "mttfs-k1", "mttfs-k2", "mttfs-k3")]
    for narrow, wide in zip(zones, zones[1:], strict=False):
        assert narrow["silent"] < wide["silent"] and narrow["bytes"] > wide["bytes"]
        assert narrow["nll"] < wide["nll"]


def test_energy_of_every_row_or_what_is_missing(rows):
    for name, row in rows.items():
        for technology, entry in row["energy"].items():
            for counting in ("synapse", "broadcast"):
                if name == "float" and technology == "22nm":
                    assert entry[counting] is None and "float_multiply" in entry["missing"]
                else:
                    joules = entry[counting]
                    assert joules["total"] > 0 and 0 < joules["measured_share"] < 1
    mttfs, ttfs = (rows[name]["energy"]["22nm"]["broadcast"] for name in ("mttfs", "ttfs16"))
    assert mttfs["weights"] < ttfs["weights"] and mttfs["movement"] < ttfs["movement"]
    assert mttfs["vector"] == ttfs["vector"]


def test_dense_rows_skip_nothing(rows):
    dense = rows["w4a8"]
    assert sum(layer["bytes"] for layer in dense["layers"] if "quer" not in layer["tensor"]) > 0
    linear = [t for t in dense["layers"] if not t["tensor"].endswith(("query", "probability"))]
    assert dense["bytes"] == pytest.approx(sum(layer["bytes"] for layer in linear))
    assert dense["bytes"] > rows["companded"]["bytes"]


def test_dead_zone_spares_attention(comparison):
    model = with_dead_zone(comparison.model, "mttfs", 2)
    assert model.quantizer("layers.0.ffn_down", "mttfs").threshold == 20
    assert model.quantizer("layers.0.query", "mttfs").threshold == 4
    assert model.quantizer("layers.0.ffn_down", "ttfs").threshold == 4


def test_refusals(comparison):
    model, checkpoint = comparison.model, comparison.checkpoint
    with pytest.raises(UserError, match="--window must be 2..256, the model's context, not 300"):
        Comparison(model, checkpoint, torch.arange(400), window=300)
    with pytest.raises(UserError, match="the text has 5 tokens, one window takes 8"):
        Comparison(model, checkpoint, torch.arange(5), window=8)
    assert math.isfinite(comparison.window)
