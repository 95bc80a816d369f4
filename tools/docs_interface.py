"""Pages on the core's ports and on what flows inside it."""

from __future__ import annotations

import inspect
import re
import textwrap

from hw.build import TOP, ports
from hw.core import core_signature
from hw.encode.event import event_layout
from hw.spec.configs import CONFIGS
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from tools.markdown import table

#: Configurations whose instantiation is shown, and what each is an example of.
EXAMPLES = {"mac8": "Memory on chip", "mac32-axi": "External memory"}

_WRITTEN = "Written by `python -m tools.docs` from {}; do not edit.\n\n"

_CONNECT = [
    ("`clk`", "The core's only clock; everything happens at its rising edge."),
    (
        "`rst`",
        "Synchronous reset, high for at least a cycle. Registers have the same values after an "
        "FPGA is configured; memories keep their contents, or start with any. It forgets bursts "
        "that external memory still answers: reset that port's other side together with the core, "
        "or abort by the register `control`, which awaits them.",
    ),
    (
        "`s_axil_*`",
        "An AXI4-Lite manager with 32 data bits, at any base address: the low bits of the byte "
        "address. `awprot` and `arprot` are ignored. A write without all of `wstrb`, or one that "
        "a register refuses, is answered with SLVERR.",
    ),
    (
        "`m_axi_*`",
        "A memory behind AXI4, read only; the host writes it by its own way. Bursts are INCR, as "
        "wide as the port, within 4 KiB, and have the id 0: data must come in the order of the "
        "addresses. `rid` is ignored; `arlock`, `arprot` and `arqos` are 0, `arcache` is 3. SLVERR "
        "and DECERR stop the instruction.",
    ),
]


def instantiation_page() -> str:
    """Render the ports of the example configurations and how to connect them."""
    wide = [
        (f"`{name}`", config.axi_data_width, config.axi_id_width)
        for name, config in CONFIGS.items()
        if config.memory == "axi"
    ]
    return (
        "# Instantiation\n\n"
        + _WRITTEN.format("the ports of `hw/core.py`")
        + "`python -m hw.build --config NAME --out FOLDER` writes two files. `NAME.v` is plain "
        f"Verilog: the module `{TOP}` and all that it needs, memories as arrays from which "
        "synthesis infers block RAM. `NAME.json` names ports and registers for scripts. All "
        f"configurations call their module `{TOP}`, so that a design holds cores of one "
        "configuration only, unless modules are renamed.\n\n"
        + table(["port", "connect to"], _CONNECT)
        + "".join(f"\n## {what}: `{name}`\n\n{_example(name)}" for name, what in EXAMPLES.items())
        + "\n## Widths\n\n`m_axi_rdata` is `axi_data_width`, `m_axi_arid` and `m_axi_rid` are "
        "`axi_id_width` bits wide (`hw/spec/params.py`). All other widths are the same for every "
        "configuration.\n\n"
        + table(["configuration", "`axi_data_width`", "`axi_id_width`"], wide)
        + "\n## Using it\n\n"
        "Read `magic`, then `hash_high` and `hash_low`, which tell the configuration. A product "
        "takes: weights in memory (`docs/container.md`), inputs through `input_data`, `shape`, "
        "`weight_base`, `mode`, `quantizer`, a 1 to `control.start`, waiting until `status.busy` "
        "is 0, accumulators through `output_data`. Registers are described in "
        "`docs/registers.md`, for C in `docs/firstspike_registers.h`. While `busy` "
        "is 1 writes to `shape`, `weight_base`, `mode`, `quantizer` and the input buffer are "
        "refused. `control.reset` helps in any case, which `tests/slow/test_interruptions.py` "
        "shows.\n\n"
        "## System builders\n\n"
        "Nothing here depends on a vendor; `hw/boards/design.py` puts a core on boards with an "
        "ECP5. What follows is not tested. In LiteX the core is an `Instance` with the ports "
        "above, and `NAME.v` a source of the platform. In Vivado's block designs `NAME.v` can be "
        "added as a module reference; its ports have AXI's names behind a common prefix, from "
        "which interfaces are inferred.\n"
    )


def _example(name: str) -> str:
    """Verilog that instantiates a configuration, and the table of its ports."""
    found = ports(core_signature(CoreParams(CONFIGS[name])))
    width = max(len(port["name"]) for port in found)
    lines = [f"    .{p['name']:{width}} ({p['name']})" for p in found]
    rows = [(f"`{p['name']}`", p["direction"], p["width"]) for p in found]
    verilog = f"```verilog\n{TOP} core (\n" + ",\n".join(lines) + "\n);\n```\n\n"
    return verilog + table(["port", "direction", "bits"], rows)


def events_page() -> str:
    """Render what an event is, and what the lanes do with each."""
    return (
        "# Events\n\n"
        + _WRITTEN.format("`hw/encode/event.py`")
        + _EVENTS
        + "".join(
            f"\n## Stream of `{integrator}`\n\n"
            + table(["member", "bits", "meaning"], _members(integrator))
            for integrator in INTEGRATORS
        )
        + "\nWidths are those of every configuration.\n"
    )


def _members(integrator: str) -> list[tuple[str, int, str]]:
    """Members of an item with their meaning: what the layout's docstring says."""
    layout = event_layout(CoreParams(CoreConfig(integrator=integrator)))
    text = inspect.getdoc(event_layout)
    found = re.findall(r"^(\w[\w, ]*?)(?: : \S+)?\n((?:    .+\n?)+)", text, re.MULTILINE)
    meaning = {
        name: " ".join(textwrap.dedent(body).split()).replace("``", "`")
        for names, body in found
        for name in names.split(", ")
    }
    return [(f"`{name}`", field.width, meaning[name]) for name, field in layout]


_LANES = [
    (
        "spike, level c",
        "one: adds `c * row`",
        "one: time passes to level \\|c\\|, then the row joins I",
    ),
    (
        "integer c",
        "one: adds `c * row`",
        "two: digit hi in the coarse window, digit lo in the fine one; a digit 0 has no event",
    ),
    ("silent code", "none", "none"),
    (
        "gap of L levels before an event, or before level 0",
        "none",
        "`V += I << s` for L // 4 times s = 2, then s = 1 and s = 0 for the rest; the last of them "
        "shares the item of what comes next",
    ),
    (
        "end of the coarse window",
        "none",
        "I is cleared in the item of the first fine event, and `V * 16` is in the next; a block "
        "without fine events has an empty item for the first",
    ),
    (
        "end of a block",
        "none: its last item hands P over",
        "none: the next block's first item hands V over and clears V and I",
    ),
    ("block without events", "one, empty", "one, empty"),
    ("end of the vector", "none", "one, empty: the flush, which hands the last V over"),
]

_EVENTS = (
    "An *event* is a row that fires. The encoder makes a stream of *items* from a vector once, "
    "keeps it, and replays it for every tile of outputs. An item is one cycle of the lanes, and "
    "reads at most one row of synapse memory: that of its event, if it has one. What fires at "
    "which level is in `docs/arithmetic.md` §2; every cycle that is not an event is accounted "
    "for in `docs/counters.md`.\n\n"
    + table(["what", "items of `mac`", "items of `spike`"], _LANES)
    + "\n`mac` takes the events of a block in the order of its rows. `spike` takes them in time: "
    "coarse window before fine window, the highest level first; in one time step rows fall in the "
    "coarse window and rise in the fine one, and each takes an item. The codes of all rows reach "
    "the scaler as one number, X, so that offsets cost no event.\n\n"
    "The register `fault` strikes events by their number in this order, counted from 0 over the "
    "whole vector (`sw/fault.py`).\n"
)
