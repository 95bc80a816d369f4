"""Whether a configuration fits a board, before anything is built."""

from __future__ import annotations

import math

from hw.boards.board import Board
from hw.boards.catalog import BOARDS
from hw.bus.block_memory import banks
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth.cost import Cost, core_cost
from hw.synth.cost_table import FITTED

#: What the devices have, by their names in nextpnr.
DEVICES = {
    "45k": Cost(lut=43_848, dsp=72, bram=108),
    "85k": Cost(lut=83_640, dsp=156, bram=208),
    "um5g-85k": Cost(lut=83_640, dsp=156, bram=208),
}

#: Host link, memory's bus and lights, as synthesis found them beside the core of ``ulx3s``.
_BESIDE = Cost(lut=2_040, dsp=0, bram=3)

#: LUT sites that place and route uses for each LUT that synthesis counts.
_PLACED = 1.12

#: Bytes of device memory that the bundled model takes with its whole context.
BUNDLED = 300_000

#: Bits of a block RAM in its narrowest forms, which leave out the parity.
_BLOCK = 1 << 14


def memory_blocks(params: CoreParams) -> int:
    """Block RAMs of device memory."""
    octets = params.axi_data_width // 8
    words = params.memory_beats * params.beat_bits // params.axi_data_width
    return octets * sum(max(1, math.ceil(8 * depth / _BLOCK)) for depth in banks(words))


def board_cost(params: CoreParams) -> Cost:
    """Predict what the board design of a core takes."""
    core = core_cost(params)
    return Cost(
        lut=core.lut + _BESIDE.lut,
        dsp=core.dsp + _BESIDE.dsp,
        bram=core.bram + _BESIDE.bram + memory_blocks(params),
    )


def summary(board: Board, config: str) -> str:
    """Tell the prediction beside what the device has."""
    cost, device = board_cost(CoreParams(CONFIGS[config])), DEVICES[board.device]
    known = "" if config in FITTED else "; it is not among the syntheses that this is fitted to"
    return (
        f"{config} on {board.name}, predicted: {cost.lut:,} LUT ({_sites(cost):,} sites of "
        f"{device.lut:,}), {cost.dsp} DSP of {device.dsp}, {cost.bram:,} BRAM of {device.bram}"
        f"{known}"
    )


def warning(config: str) -> str | None:
    """Tell in one sentence that a configuration cannot hold the bundled model; None if it can."""
    octets = CoreParams(CONFIGS[config]).memory_bytes
    if octets >= BUNDLED:
        return None
    return (
        f"the {octets:,} bytes of device memory of {config} do not hold the bundled model, which "
        f"takes {BUNDLED:,} with its whole context"
    )


def refusal(board: Board, config: str) -> str | None:
    """Tell in one sentence why a configuration cannot be built for a board; None if it can."""
    why = _lack(board, CoreParams(CONFIGS[config]))
    if why is None:
        return None
    if other := nearest(board, config):
        return f"configuration {config} {why}; the nearest that fits is {other}"
    others = " or ".join(b.name for b in BOARDS.values() if b.device and nearest(b, config))
    return f"configuration {config} {why}, and no other fits; choose another board: {others}"


def nearest(board: Board, config: str) -> str | None:
    """Name the configuration that fits a board and is most like another; None if none does.

    One that holds the bundled model is preferred.
    """
    wanted = CONFIGS[config]
    best, least = None, math.inf
    for name, other in CONFIGS.items():
        if _lack(board, CoreParams(other)) is None:
            distance = abs(math.log2(other.lanes / wanted.lanes))
            distance += abs(math.log2(other.memory_beats / wanted.memory_beats)) / 8
            distance += other.integrator != wanted.integrator
            distance += warning(name) is not None
            if distance < least:
                best, least = name, distance
    return best


def _sites(cost: Cost) -> int:
    return round(cost.lut * _PLACED)


def _lack(board: Board, params: CoreParams) -> str | None:
    if not params.vector_words:
        return "runs no tokens by itself, as a board's must"
    device, memory = DEVICES[board.device], memory_blocks(params)
    if memory > device.bram:
        return (
            f"keeps weights and caches in {params.memory_bytes:,} bytes of "
            f"device memory, which take {memory:,} block RAMs of the {device.bram} of "
            f"{board.name}"
        )
    cost = board_cost(params)
    for name, needed, there in (
        ("block RAMs", cost.bram, device.bram),
        ("multipliers", cost.dsp, device.dsp),
        ("LUT sites", _sites(cost), device.lut),
    ):
        if needed > there:
            return f"needs {needed:,} {name}, {board.name} has {there:,}"
    return None
