"""What fits a board, known before anything is built."""

import json

import pytest

from hw.boards import check
from hw.boards.catalog import BOARDS
from hw.boards.check import BUNDLED, board_cost, memory_blocks, refusal, summary, warning
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth.cost import core_cost
from sw.compile.program import compile_program
from sw.opening import open_model
from tools.cost import MEASURED, TABLE, counted, fit, table_text
from tools.history import PAGE

KEPT = json.loads(MEASURED.read_text())
RECORDED = {name: counted(KEPT[name]["cells"]) for name in CONFIGS if name in KEPT}

ULX3S = BOARDS["ulx3s-85f"]


@pytest.mark.parametrize("name", RECORDED)
def test_within_a_tenth_of_synthesis(name):
    predicted = core_cost(CoreParams(CONFIGS[name]))
    found = {"LUT": predicted.lut, "DSP": predicted.dsp, "BRAM": predicted.bram}
    for what, measured in RECORDED[name].items():
        assert abs(found[what] - measured) <= 0.1 * measured, (name, what, found[what], measured)


def test_every_configuration_is_recorded():
    """A configuration that is missing is synthesized by ``python -m tools.cost NAME``."""
    assert set(CONFIGS) <= set(KEPT)


def test_table_is_that_of_the_record():
    """If this fails, run ``python -m tools.cost``."""
    assert TABLE.read_text("utf-8") == table_text(fit(RECORDED), RECORDED)


def test_the_board_s_configuration_fits():
    for board in (ULX3S, BOARDS["ecpix5-85f"]):
        assert refusal(board, board.config) is None
    assert memory_blocks(CoreParams(CONFIGS["ulx3s"])) == 152
    cost = board_cost(CoreParams(CONFIGS["ulx3s"]))
    assert 170 <= cost.bram <= 190
    assert f", {cost.bram} BRAM of 208" in summary(ULX3S, "ulx3s")


def test_within_a_tenth_of_the_latest_board():
    """What was built last of the board's design, by the table of `docs/history.md`."""
    lines = PAGE.read_text("utf-8").splitlines()
    row = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert row[2:4] == ["`ulx3s`", "ulx3s-85f"]
    lut4, carry, _, dsp, bram = (int(cell.replace(",", "")) for cell in row[4:9])
    cost = board_cost(CoreParams(CONFIGS["ulx3s"]))
    for predicted, found in ((cost.lut, lut4 + 2 * carry), (cost.dsp, dsp), (cost.bram, bram)):
        assert abs(predicted - found) <= 0.1 * found, (predicted, found)


def test_a_prediction_beyond_the_record_says_so(monkeypatch):
    monkeypatch.setattr(check, "FITTED", ("mac8-token",))
    assert summary(ULX3S, "mac8-token").endswith(" of 208")
    assert summary(ULX3S, "ulx3s").endswith(
        "; it is not among the syntheses that this is fitted to"
    )


def test_what_holds_the_bundled_model():
    params = CoreParams(CONFIGS["ulx3s"])
    program = compile_program(open_model(None), params, name="ulx3s", table="companded")
    assert 0.98 * BUNDLED <= len(program.image) <= BUNDLED
    assert warning("ulx3s") is None and "204,800 bytes" in warning("mac8-token-small")
    assert refusal(ULX3S, "mac8-small").endswith("; the nearest that fits is ulx3s")


def test_refusals():
    assert refusal(ULX3S, "mac8") == (
        "configuration mac8 runs no tokens by itself, as a board's must; the nearest that fits is "
        "ulx3s"
    )
    text = refusal(ULX3S, "mac8-token")
    assert text.startswith("configuration mac8-token keeps weights and caches in 1,048,576 bytes")
    assert "take 512 block RAMs of the 208 of ulx3s-85f; the nearest that fits is " in text
    text = refusal(BOARDS["ulx3s-45f"], "ulx3s")
    assert "take 152 block RAMs of the 108 of ulx3s-45f" in text
    for board in BOARDS.values():
        for name in CONFIGS:
            if board.device and (why := refusal(board, name)):
                assert why.count(".") == 0 and "\n" not in why
