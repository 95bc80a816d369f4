"""A shell that lets a core be placed alone: its ports on two shift registers, on five pins."""

from __future__ import annotations

from collections.abc import Sequence

TOP = "harness"

#: Name of the core's instance in the shell.
INSTANCE = "core"

_CLOCK = ("clk", "rst")


def wrap(verilog: str, top: str, ports: Sequence[dict]) -> str:
    """Verilog of a core in its shell, module :data:`TOP`.

    Every port of the core begins or ends at a register, so all its paths are measured as paths from
    register to register, and no path is made longer by a pin.

    Parameters
    ----------
    verilog : str
        The core's Verilog.
    top : str
        Its module, with ports ``clk`` and ``rst`` among others.
    ports : sequence of dict
        Name, direction and width of each port, as in the manifest of :func:`hw.build.generate`.
    """
    inputs = [p for p in ports if p["direction"] == "input" and p["name"] not in _CLOCK]
    outputs = [p for p in ports if p["direction"] == "output"]
    into, out_of = (sum(p["width"] for p in side) for side in (inputs, outputs))
    joined = [*_join("inputs", inputs), *_join("outputs", outputs)]
    return f"""{verilog}
module {TOP}(input clk, input rst, input serial_in, input load, output serial_out);
  reg reset;
  reg [{into - 1}:0] inputs;
  wire [{out_of - 1}:0] outputs;
  reg [{out_of - 1}:0] kept;
  assign serial_out = kept[0];
  always @(posedge clk) begin
    reset <= rst;
    inputs <= {{inputs, serial_in}};
    kept <= load ? outputs : kept >> 1;
  end
  {top} {INSTANCE}(.clk(clk), .rst(reset), {", ".join(joined)});
endmodule
"""


def _join(vector: str, ports: Sequence[dict]) -> list[str]:
    """Connect ports to successive bits of a vector."""
    connections, position = [], 0
    for port in ports:
        connections.append(f".{port['name']}({vector}[{position}+:{port['width']}])")
        position += port["width"]
    return connections
