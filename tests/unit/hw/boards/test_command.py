# amaranth: UnusedElaboratable=no
"""The command line of boards, with tools that are played."""

import json
from pathlib import Path

import pytest

from hw.boards import flow
from hw.build import main
from hw.synth import tools
from hw.synth.ecp5 import Netlist, Placement, Step


@pytest.fixture
def played(monkeypatch):
    """Play the tools; return what was run, and a place for the clock that they reach."""
    runs, reached = [], {"clock": 55.0}

    def synthesize(text, top, folder, **_):
        runs.append("synthesis")
        (folder / f"{top}.json").write_text("{}")

    def place_and_route(netlist, *, constraints, placed, progress, **_):
        runs.append("place and route")
        assert (netlist.parent / constraints).read_text().startswith("#")
        progress("Info: Routing..")
        (netlist.parent / placed).write_text("placed")
        (netlist.parent / "timing.json").write_text("{}")

    def pack(placed, bitstream):
        runs.append("bitstream")
        bitstream.write_bytes(b"bits")

    sites = {"TRELLIS_COMB": 9, "TRELLIS_FF": 9, "MULT18X18D": 9, "DP16KD": 9}
    steps = [Step("clk-to-q", 1.0, "a")]
    monkeypatch.setattr(flow.ecp5, "synthesize", synthesize)
    monkeypatch.setattr(flow.ecp5, "place_and_route", place_and_route)
    monkeypatch.setattr(flow.ecp5, "pack", pack)
    monkeypatch.setattr(
        flow.ecp5.Netlist, "load", lambda path, *_: Netlist(path, {"a": "LUT4"}, frozenset(), {})
    )
    monkeypatch.setattr(
        flow.ecp5.Placement, "load", lambda _: Placement({"c": reached["clock"]}, steps, {}, sites)
    )
    monkeypatch.setattr(flow.tools, "version", lambda module: f"{module} 1")
    monkeypatch.setattr(flow, "generate", lambda params: ("core\n", {}))
    monkeypatch.setattr(flow, "board_verilog", lambda design, core: f"{core}{design.clock}\n")
    return runs, reached


def build(folder: Path, *more):
    return main(["--board", "ulx3s-85f", "--out", str(folder), *more])


def test_a_bitstream_and_its_report(played, tmp_path, capsys):
    runs, _ = played
    assert build(tmp_path) == 0
    assert runs == ["synthesis", "place and route", "bitstream"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["clock_mhz"] == 55.0 and report["timing_met"] and report["config"] == "ulx3s"
    assert (tmp_path / "ulx3s-85f.bit").read_bytes() == b"bits"
    assert (tmp_path / "report.md").read_text().startswith("# Radiona ULX3S")
    out = capsys.readouterr().out
    for number, step in enumerate(
        ("Verilog", "constraints", "synthesis", "place and route", "bitstream", "report"), 1
    ):
        assert f"{number}/6 {step}: " in out
    assert "ulx3s-85f.bit: 55 MHz reached, 50 MHz wanted" in out
    assert out.endswith(f"Load it with: openFPGALoader -b ulx3s {tmp_path / 'ulx3s-85f.bit'}\n")
    page = (tmp_path / "report.md").read_text()
    assert "    openFPGALoader -b ulx3s ulx3s-85f.bit\n" in page
    assert "--port PORT --config ulx3s --baud 1000000\n" in page


def test_steps_are_not_repeated(played, tmp_path, capsys):
    runs, _ = played
    build(tmp_path)
    runs.clear()
    assert build(tmp_path) == 0 and not runs
    assert "4/6 place and route: unchanged" in capsys.readouterr().out
    assert build(tmp_path, "--seed", "2") == 0 and runs == ["place and route", "bitstream"]
    runs.clear()
    assert build(tmp_path, "--mhz", "40") == 0
    assert runs == ["synthesis", "place and route", "bitstream"]


def test_a_missed_clock(played, tmp_path, capsys):
    _, reached = played
    build(tmp_path)
    reached["clock"] = 46.5
    assert build(tmp_path, "--seed", "2") == 1
    assert capsys.readouterr().err == (
        "The clock reaches 46.5 MHz, not the 50 MHz wanted: there is no bitstream; lower --mhz, "
        "or try another --seed.\n"
    )
    assert not (tmp_path / "ulx3s-85f.bit").exists()
    assert "openFPGALoader" not in (tmp_path / "report.md").read_text()
    assert not json.loads((tmp_path / "report.json").read_text())["timing_met"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "de1"], "There is no board 'de1'; choose ulx3s-85f, "),
        (["--board", "ulx3s-85f", "--config", "big"], "There is no configuration 'big'; choose "),
        (["--board", "ulx3s-85f"], "Name a folder for the results with --out."),
        (["--board", "ulx3s-85f", "--config", "mac8", "--out", "x"], "Configuration mac8 runs no "),
        (["--board", "ulx3s-45f", "--check"], "Configuration ulx3s keeps weights and caches in "),
        (["--board", "arty-a7-100t", "--check"], "Nothing predicts cells of board arty-a"),
        (["--board", "arty-a7-100t"], "Board arty-a7-100t has no bitstream here, only constraints"),
        (["--board", "ulx3s-85f", "--check", "--mhz", "47"], "No clock of 47 MHz can be made "),
        (["--board", "ulx3s-85f", "--check", "--mhz", "0"], "Clock and baud rate must be above 0"),
        (["--board", "ulx3s-85f", "--out", "x", "--baud", "0"], "Clock and baud rate must be ab"),
        (["--board", "ulx3s-85f", "--check", "--baud", "30000000"], "A clock of 50 MHz has 1.67 "),
        (["--board", "ulx3s-85f", "--check", "--integrator", "spike"], "A board's core has the "),
        (["--board", "ulx3s-85f", "--out", "x", "--mhz", "47"], "No clock of 47 MHz can be made "),
        (["--check"], "--check is of a board; name it with --board; --list-boards shows them."),
        (["--mhz", "60", "--out", "x"], "--mhz is of a board; name it with --board; "),
        (["--baud", "9600", "--out", "x"], "--baud is of a board; name it with --board; "),
    ],
)
def test_one_sentence(arguments, message, played, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1 and error.endswith(".\n")


def test_missing_tools(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    assert build(tmp_path) == 1
    error = capsys.readouterr().err
    assert error == "Pyosys is missing; install it with: pip install 'firstspike[area]'.\n"


def test_lists_and_checks(capsys):
    assert main(["--list-boards"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ulx3s-85f      Radiona ULX3S with an LFE5U-85F: ulx3s, aiming at 50 MHz",
        "ulx3s-45f      Radiona ULX3S with an LFE5U-45F: too small for every configuration",
        "ecpix5-85f     LambdaConcept ECPIX-5 with an LFE5UM5G-85F: ulx3s, aiming at 50 MHz",
        "arty-a7-100t   Digilent Arty A7-100T: constraints only, for its vendor's tool",
    ]
    assert main(["--board", "ulx3s-85f", "--check", "--mhz", "62.5"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("ulx3s on ulx3s-85f, predicted: ")
    assert second == "It fits; place and route tells whether it reaches 62.5 MHz."
    assert main(["--board", "ulx3s-85f", "--config", "mac8-token-small", "--check"]) == 0
    _, second, third = capsys.readouterr().out.splitlines()
    assert second == (
        "Mind that the 204,800 bytes of device memory of mac8-token-small do not hold the bundled "
        "model, which takes 300,000 with its whole context."
    )
    assert third.startswith("It fits; ")
    assert main(["--board", "ulx3s-85f", "--config", "mac8", "--check"]) == 1
    assert capsys.readouterr().out == ""


def test_a_number_that_is_none(capsys):
    for text in ("x", "1/0"):
        with pytest.raises(SystemExit):
            main(["--board", "ulx3s-85f", "--mhz", text])
        error = capsys.readouterr().err
        assert f"--mhz: wanted a number such as 50 or 62.5, not '{text}'\n" in error


def test_constraints_alone(tmp_path, capsys):
    assert main(["--board", "arty-a7-100t", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "arty-a7-100t.xdc").exists()
