"""Cells of a core, predicted from its configuration without synthesis."""

from __future__ import annotations

import dataclasses
import math

from hw.spec.params import CoreParams
from hw.synth.cost_table import BRAM, DSP, LUT

#: Bits of a block RAM 1024 words deep or deeper, parity included.
_BLOCK = 18 * 1024


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cells of an ECP5.

    Attributes
    ----------
    lut : int
        LUT4, a carry cell counting as two.
    dsp : int
        Multipliers of 18 x 18 bits.
    bram : int
        Block RAMs of 18 Kbit.
    """

    lut: int
    dsp: int
    bram: int


def features(params: CoreParams) -> dict[str, float]:
    """Sizes that cells grow with.

    Each is 1 or a size for the cores that have the part, and 0 for others.
    """
    lanes, token = params.lanes, bool(params.vector_words)
    spike, external = params.integrator == "spike", params.external
    width = params.vector_width if token else 0
    return {
        "one": 1,
        "mac lanes": 0 if spike else lanes,
        "spike": spike,
        "spike lanes": lanes if spike else 0,
        "streams": params.scaler_streams,
        "external": external,
        "external lanes": lanes if external else 0,
        "sub tiles": params.sub_tiles > 1,
        "token": token,
        "vector width": width,
        "batch": params.batch > 1,
        "batch bits": math.log2(params.batch),
        "memory blocks": 0 if external else params.memory_beats * params.beat_bits / _BLOCK,
        "vector blocks": params.vector_words * 24 / _BLOCK,
        "output blocks": params.max_outputs * params.accumulator_width / _BLOCK,
        "event blocks": params.batch * params.max_inputs * 18 / _BLOCK,
    }


def core_cost(params: CoreParams) -> Cost:
    """Predict the cells of a core.

    The coefficients are fitted to syntheses of the named configurations (``tools/cost.py``).
    """
    sizes = features(params)
    lut, dsp, bram = (
        round(sum(table.get(name, 0.0) * size for name, size in sizes.items()))
        for table in (LUT, DSP, BRAM)
    )
    return Cost(lut=lut, dsp=dsp, bram=bram)
