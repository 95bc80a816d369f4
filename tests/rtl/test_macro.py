"""The macro's elaborations under Verilator: behavioural Verilog and serial emulation are equal."""

import re

import pytest
from amaranth.lib import wiring
from cocotb_tools.runner import get_results

from hw.build import convert
from hw.spec.crossbar import PRESETS
from hw.synapse.crossbar import behaviour
from hw.synapse.crossbar.macro import CrossbarMacro
from sim import cocotb_runner
from tests.unit.golden.test_crossbar import WORST

pytestmark = pytest.mark.rtl

OUTPUTS = 2

#: Presets, and an array of everything that can be wrong.
CROSSBARS = {
    "worst": WORST.replace(access=3),
    "matterhorn": PRESETS["matterhorn"].replace(columns_per_converter=2),
    "ye2023": PRESETS["ye2023"].replace(columns_per_converter=2),
}


class Named(CrossbarMacro):
    """A macro whose module has a name of its own."""

    def __init__(self, *arguments, module, **keywords):
        self.module = module
        super().__init__(*arguments, **keywords)


def assembly(names: list[str]) -> str:
    """Verilog of both elaborations of every macro."""
    from tests.rtl.cocotb_scenarios import Assembly

    parts: dict[str, wiring.Component] = {}
    modules = []
    for name in names:
        crossbar = CROSSBARS[name]
        parts[f"{name}_serial"] = CrossbarMacro(crossbar, outputs=OUTPUTS)
        parts[f"{name}_wide"] = Named(
            crossbar, outputs=OUTPUTS, elaboration="instance", module=f"wide_{name}"
        )
        text = behaviour.behaviour(crossbar, OUTPUTS)
        modules.append(text.replace(f"module {behaviour.MODULE} ", f"module wide_{name} "))
    return convert(Assembly(parts), "macros") + "".join(modules)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(names, marks=pytest.mark.slow)
        for names in (["worst"], ["matterhorn", "ye2023"])
    ],
)
def test_elaborations_are_equal(tmp_path, names):
    simulation = cocotb_runner.build(assembly(names), "macros")
    bench, variables = "tests.rtl.cocotb_macro", {"FIRSTSPIKE_MACROS": " ".join(names)}
    child = cocotb_runner.start(simulation, "macros", bench, folder=tmp_path, variables=variables)
    try:
        child.wait(900)
    finally:
        cocotb_runner.kill(child)
        print((tmp_path / cocotb_runner.LOG).read_text("utf-8"))
    tests, failed = get_results(tmp_path / cocotb_runner.RESULTS)
    assert (tests, failed, child.returncode) == (len(names), 0, 0)


def test_stub_has_the_ports_of_the_behaviour():
    crossbar = PRESETS["matterhorn"]
    texts = (behaviour.stub(crossbar, 16), behaviour.behaviour(crossbar, 16))
    heads = [re.search(r"module \w+ \((.*?)\n\);", text, re.DOTALL).group(1) for text in texts]
    assert heads[0] == heads[1].replace("output reg", "output")
    assert heads[0].count("put ") == 18
    assert texts[0].startswith("(* blackbox *)\nmodule firstspike_crossbar (")
