"""The shell around a core that is placed alone."""

import re

from hw.synth import harness

PORTS = [
    {"name": "clk", "direction": "input", "width": 1},
    {"name": "rst", "direction": "input", "width": 1},
    {"name": "a", "direction": "input", "width": 5},
    {"name": "b", "direction": "output", "width": 7},
    {"name": "c", "direction": "input", "width": 3},
    {"name": "d", "direction": "output", "width": 1},
]


def test_every_port_is_on_bits_of_its_own():
    text = harness.wrap("module inner();\nendmodule\n", "inner", PORTS)
    assert text.startswith("module inner();")
    shell = text[text.index(f"module {harness.TOP}") :]
    assert "reg [7:0] inputs;" in shell
    assert "wire [7:0] outputs;" in shell
    assert f"inner {harness.INSTANCE}(" in shell
    joined = re.findall(r"\.(\w+)\((\w+)(?:\[(\d+)\+:(\d+)\])?\)", shell)
    assert joined == [
        ("clk", "clk", "", ""),
        ("rst", "reset", "", ""),
        ("a", "inputs", "0", "5"),
        ("c", "inputs", "5", "3"),
        ("b", "outputs", "0", "7"),
        ("d", "outputs", "7", "1"),
    ]
