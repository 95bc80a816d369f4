"""What conversions cost: published energies beside measured ones, and those of a model."""

import pytest

from hw.spec.crossbar import PRESETS
from sw.energy.crossbar import crossbar_energy, describe
from sw.energy.macro import MacroEnergy, open_macro
from sw.energy.technology import parse
from sw.errors import UserError
from sw.golden.decoder import GoldenModel
from tests.unit.golden.models import TINY, random_model

YE = PRESETS["ye2023"].replace(clip=True)

POINT = (
    "[{}]\npicojoules = {}\nlines = {}\nrows = 32\nmapping = '{}'\n"
    "unit = 'output'\nsource = 'a paper'\nnode = '22 nm'\n"
)


def test_ye2023_beside_what_was_measured():
    technology, macro = open_macro(None, YE)
    model, ids = random_model(TINY, seed=3), [1, 5, 3, 7]
    record = crossbar_energy(model, YE, technology, macro, columns=8, ids=ids)
    found = [(o["lines"], round(o["picojoules"], 3), o["measured"]) for o in record["outputs"]]
    assert found == [(4, 2.109, 2.11), (16, 5.474, 5.47)]
    assert macro.picojoules(1, 4) == pytest.approx(31.96 * 66e-3)
    assert macro.picojoules(1, 16) == pytest.approx(82.94 * 66e-3)
    text = "\n".join(describe(record))
    assert "31.96 uW   66 ns       2.109 pJ   2.11 pJ" in text
    assert "0.988 pJ + 0.280 pJ a raised line, a line through both; it is ours" in text

    golden = GoldenModel(model, lanes=8, crossbar=YE, integrator="spike")
    golden.prefill(ids)
    counters = golden.golden.counters
    conversions = sum(t["conversions"] for t in record["tensors"]) * len(ids)
    assert round(conversions) == counters["conversions"] > 0
    lines = sum(t["conversions"] * t["lines"] for t in record["tensors"]) * len(ids)
    assert round(lines) == 8 * 2 * counters["lines_raised"]  # two readings of eight outputs
    total = macro.picojoules(conversions, lines) / len(ids) / 1000
    assert record["nanojoules_per_token"] == pytest.approx(total)


@pytest.mark.parametrize(
    ("crossbar", "message"),
    [
        (PRESETS["matterhorn"], "no source says what power device 'matterhorn' draws, and none"),
        (YE.replace(rows=256), "32 rows of mapping 'planes', and nothing is known of 256 rows"),
        (YE.replace(readout="window"), "a read-out in each step, not of one per window"),
    ],
)
def test_nothing_is_guessed(crossbar, message):
    with pytest.raises(UserError, match=message):
        open_macro(None, crossbar)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (POINT.format("output_sparse", 1, 4, "pair"), "no constant 'output_dense', and none is"),
        (
            POINT.format("output_sparse", 1, 4, "pair")
            + POINT.format("output_dense", 2, 4, "pair"),
            "must be of one macro, with different lines",
        ),
        (
            (
                POINT.format("output_sparse", 1, 4, "pair")
                + POINT.format("output_dense", 2, 8, "pair")
            ).replace("lines = 4\n", ""),
            "output_sparse must say lines, rows and mapping, too",
        ),
    ],
)
def test_what_a_macro_must_say(text, message):
    with pytest.raises(UserError, match=message):
        MacroEnergy.of(parse(text, "mine"))
