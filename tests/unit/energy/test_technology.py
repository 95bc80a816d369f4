"""Constants have unit, source and node; a missing one stops the calculation."""

import pytest

from sw.energy.technology import SHIPPED, MissingConstantError, load_technology, parse
from sw.errors import UserError

ENTRY = '[move]\npicojoules = {}\nunit = "bit"\nsource = "a paper"\nnode = "22 nm"\n'


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_constants_are_whole(name):
    technology = load_technology(name)
    assert technology.description and technology.constants
    for constant in technology.constants.values():
        assert constant.picojoules > 0 and constant.unit and constant.source and constant.node


def test_values_of_the_papers_page():
    shared = load_technology("22nm")
    assert (shared["accumulate"], shared["move"], shared["sram"]) == (0.05448, 0.18, 0.098454)
    horowitz = load_technology("45nm")
    assert horowitz["float_multiply"] + horowitz["float_add"] == pytest.approx(4.6)
    assert horowitz["dram"] == pytest.approx(1300 / 64, rel=1e-3)


def test_missing_constants_stop_and_are_not_guessed():
    with pytest.raises(MissingConstantError, match="45nm has no constant 'shift', and none is gue"):
        load_technology("45nm")["shift"]


def test_products_by_the_smallest_multiplier_or_by_additions():
    horowitz, shared = load_technology("45nm"), load_technology("22nm")
    assert horowitz.product(8, 4) == pytest.approx(0.2 + 0.1)
    assert horowitz.product(17, 8) == pytest.approx(3.1 + 0.1)
    assert shared.product(8, 4) == pytest.approx(4 * 0.05448)


def test_joined_technologies():
    both = load_technology("22nm").joined(load_technology("ye2023"))
    assert both["measured_sparse"] == 2.11 and both["move"] == 0.18


def test_power_times_access_time_of_ye2023():
    """What the source says it measured is reproduced to its last digit, and enters nothing."""
    macro = load_technology("ye2023")
    for name, power, measured in (("sparse", 31.96, 2.11), ("dense", 82.94, 5.47)):
        output = macro.constant(f"output_{name}")
        assert (output.microwatts, output.nanoseconds) == (power, 66)
        assert output.picojoules == power * 66 / 1000
        assert round(output.picojoules, 2) == macro[f"measured_{name}"] == measured


@pytest.mark.parametrize(
    "text, message",
    [
        ("[", "technology t is not TOML"),
        ("[move]\npicojoules = 1\n", "move needs exactly node, picojoules, source, unit"),
        (ENTRY.format("-1"), "move must have picojoules of 0 or more"),
        (
            "[o]\nmicrowatts = 1\nunit = ''\nsource = ''\nnode = ''\n",
            "o needs exactly node, picojoules, source, unit, or microwatts and nanoseconds instead",
        ),
        (ENTRY.format('"1"'), "move must have picojoules of 0 or more"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UserError, match=message):
        parse(text, "t")


def test_files_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(ENTRY.format("0.5"))
    technology = load_technology(str(path))
    assert technology.name == "mine" and technology["move"] == 0.5
    with pytest.raises(UserError, match="one of 22nm, 45nm, ye2023, or a file, not 'nowhere'"):
        load_technology("nowhere")
