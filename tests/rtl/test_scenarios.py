"""The components under cocotb: scenarios that the unit tests play on Amaranth's simulator."""

import os

import pytest
from cocotb_tools.runner import get_results

from hw.build import convert
from sim import cocotb_runner
from tests.rtl.cocotb_scenarios import Assembly
from tests.scenario import SCENARIOS

pytestmark = pytest.mark.rtl

#: Seed of the benches; FIRSTSPIKE_SEED sets another.
SEED = os.environ.get("FIRSTSPIKE_SEED", "1")

TOP = "assembly"


@pytest.mark.parametrize("repeats", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_scenarios(tmp_path, repeats):
    print(f"seed {SEED}: FIRSTSPIKE_SEED sets another")
    components = {name: component() for name, (component, _) in SCENARIOS.items()}
    simulation = cocotb_runner.build(convert(Assembly(components), TOP), TOP)
    variables = {"COCOTB_RANDOM_SEED": SEED, "FIRSTSPIKE_REPEATS": str(repeats)}
    bench = "tests.rtl.cocotb_scenarios"
    child = cocotb_runner.start(simulation, TOP, bench, folder=tmp_path, variables=variables)
    try:
        child.wait(3000)
    finally:
        cocotb_runner.kill(child)
        print((tmp_path / cocotb_runner.LOG).read_text("utf-8"))
    tests, failed = get_results(tmp_path / cocotb_runner.RESULTS)
    assert failed == 0, f"{failed} of {tests} cocotb tests failed with seed {SEED}"
    assert tests == repeats * len(SCENARIOS) and child.returncode == 0
