"""Clock, reset and independent bus models on the ports of a core, under cocotb."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiRamRead, AxiReadBus

#: Ports of the core's bus, and of its port to external memory, begin so, with an underscore.
BUS = "s_axil"
MEMORY_BUS = "m_axi"

#: Shares of cycles in which a channel that pauses does so.
PAUSES = (0, 0.2, 0.5, 0.8)

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
    await start_clock(dut)
    return master


async def start_clock(dut) -> None:
    """Start the clock and reset the top module."""
    dut.rst.value = 0
    Clock(dut.clk, PERIOD, unit="step").start()
    await ClockCycles(dut.clk, 1)
    await reset_core(dut)


def join_memory(dut, size: int, *, prefix: str = MEMORY_BUS) -> AxiRam | AxiRamRead:
    """Join a memory to a manager; call it before the clock is started.

    It takes writes where the manager has ports for them.

    Parameters
    ----------
    dut : HierarchyObject
        The top module.
    size : int
        Bytes.
    prefix : str
        Ports of the manager begin with it and an underscore.
    """
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
    if hasattr(dut, f"{prefix}_awvalid"):
        return AxiRam(AxiBus.from_prefix(dut, prefix), dut.clk, dut.rst, size=size)
    return AxiRamRead(AxiReadBus.from_prefix(dut, prefix), dut.clk, dut.rst, size=size)


def channels(*models: AxiLiteMaster | AxiRam | AxiRamRead | None) -> Iterator:
    """Every channel of bus models, each of which may pause."""
    halves = [(getattr(m, "write_if", None), getattr(m, "read_if", m)) for m in models]
    for interface in itertools.chain(*halves):
        for name in ("aw", "w", "b", "ar", "r"):
            if hasattr(interface, f"{name}_channel"):
                yield getattr(interface, f"{name}_channel")


def pause(channels: Iterable, rng: np.random.Generator) -> None:
    """Idle and hold back at random, each channel at a rate of its own; some never do."""
    for channel in channels:
        channel.set_pause_generator(_pauses(rng.choice(PAUSES), rng))


def _pauses(rate: float, rng: np.random.Generator) -> Iterator[bool]:
    while True:
        yield from (rng.random(64) < rate).tolist()


async def reset_core(dut) -> None:
    """Hold the core in reset for some cycles."""
    dut.rst.value = 1
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)


def cycles() -> int:
    """Clock cycles since the simulation began."""
    return int(get_sim_time("step")) // PERIOD
