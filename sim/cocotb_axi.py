"""Clock, reset and an independent AXI4-Lite master on the ports of a core, under cocotb."""

from __future__ import annotations

import logging

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

#: Ports of the core's bus begin with this and an underscore.
BUS = "s_axil"

PERIOD = 10
RESET_CYCLES = 4


async def start_core(dut) -> AxiLiteMaster:
    """Start the clock, reset the core and take its bus.

    Parameters
    ----------
    dut : HierarchyObject
        The top module.

    Returns
    -------
    master : AxiLiteMaster
        Master of the bus; it is reset together with the core.
    """
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)  # or it logs every access
    dut.rst.value = 0
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, BUS), dut.clk, dut.rst)
    Clock(dut.clk, PERIOD, unit="step").start()
    await ClockCycles(dut.clk, 1)
    await reset_core(dut)
    return master


async def reset_core(dut) -> None:
    """Hold the core in reset for some cycles."""
    dut.rst.value = 1
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)


def cycles() -> int:
    """Clock cycles since the simulation began."""
    return int(get_sim_time("step")) // PERIOD
