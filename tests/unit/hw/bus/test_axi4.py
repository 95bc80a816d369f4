"""The AXI4 port of a core: standard names and widths, and configurations that cannot have one."""

import pytest

from hw.build import generate, ports
from hw.bus.axi4 import AXI4WriteSignature
from hw.spec.params import CoreConfig, CoreParams

EXTERNAL = CoreConfig(lanes=32, memory="axi", axi_data_width=128, axi_id_width=3)
WIDTHS = {
    "arid": 3,
    "araddr": 32,
    "arlen": 8,
    "arsize": 3,
    "arburst": 2,
    "arlock": 1,
    "arcache": 4,
    "arprot": 3,
    "arqos": 4,
    "arvalid": 1,
    "arready": 1,
    "rid": 3,
    "rdata": 128,
    "rresp": 2,
    "rlast": 1,
    "rvalid": 1,
    "rready": 1,
}
WRITE_WIDTHS = {
    "awid": 3,
    "awaddr": 32,
    "awlen": 8,
    "awsize": 3,
    "awburst": 2,
    "awlock": 1,
    "awcache": 4,
    "awprot": 3,
    "awqos": 4,
    "awvalid": 1,
    "awready": 1,
    "wdata": 128,
    "wstrb": 16,
    "wlast": 1,
    "wvalid": 1,
    "wready": 1,
    "bid": 3,
    "bresp": 2,
    "bvalid": 1,
    "bready": 1,
}


def _ports(config):
    """Widths of the ports of a core's Verilog."""
    _, manifest = generate(CoreParams(config))
    return {port["name"]: port["width"] for port in manifest["ports"]}


def test_ports():
    ports = _ports(EXTERNAL)
    memory = {name: width for name, width in ports.items() if name.startswith("m_axi_")}
    assert memory == {f"m_axi_{name}": width for name, width in WIDTHS.items()}


def test_write_signature():
    """What answers is an input of the manager."""
    signature = AXI4WriteSignature(data_width=128, address_width=32, id_width=3)
    found = [port for port in ports(signature) if port["name"] in signature.members]
    assert {port["name"]: port["width"] for port in found} == WRITE_WIDTHS
    inputs = {port["name"] for port in found if port["direction"] == "input"}
    assert inputs == {"awready", "wready", "bid", "bresp", "bvalid"}


def test_no_port_where_memory_is_on_chip():
    assert not any(name.startswith("m_axi_") for name in _ports(CoreConfig()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": "tape"}, "memory must be one of onchip, axi, not 'tape'"),
        ({"lanes": 20}, "external memory needs 8, 16, 32, 64, 128 or 256 lanes, not 20"),
        ({"axi_data_width": 16}, "axi_data_width must be a power of two from 32 to 1024, not 16"),
        ({"axi_data_width": 96}, "axi_data_width must be a power of two from 32 to 1024, not 96"),
        (
            {"axi_data_width": 512, "tile_lanes": 64},
            r"axi_data_width must be at most 4 \* tile_lanes = 256, not 512; choose a narrower bus "
            "or more tile_lanes",
        ),
        ({"memory_beats": (1 << 28) + 1}, "memory_beats must be at most 268435456"),
        ({"axi_id_width": 0}, r"axi_id_width must be 1\.\.16, not 0"),
        ({"outstanding": 65}, r"outstanding must be 1\.\.64, not 65"),
        ({"ring_groups": 3}, r"ring_groups must be 4\.\.64, not 3"),
        ({"hole": 0}, r"hole must be 1\.\.8, not 0"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        CoreParams(EXTERNAL.replace(**changes))
