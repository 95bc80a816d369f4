"""Cells of a core, predicted from its configuration without synthesis."""

from __future__ import annotations

import dataclasses
import math

from hw.memory import cuts
from hw.spec.params import CoreParams
from hw.synth.cost_table import BRAM, DSP, LUT

#: Forms of a block RAM: bits of a word by words.
_FORMS = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}

#: Words of a memory that synthesis builds of LUTs.
_SMALL = 32

#: Bits of an event, and of a word of vector memory in two parts.
_EVENT, _WORD = 14, (18, 6)


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


def arrangement(words: int, bits: int) -> tuple[int, int]:
    """Block RAMs of a memory, and how many of them hold the same bit of different words.

    All have the form that takes the fewest, and among equals that which leaves least to choose.
    """
    forms = ((math.ceil(bits / w), math.ceil(words / depth)) for w, depth in _FORMS.items())
    return min((side * rows, rows) for side, rows in forms)


def blocks(words: int, bits: int) -> int:
    """Block RAMs of a memory."""
    return arrangement(words, bits)[0]


def _columns(words: int, bits: int) -> int:
    """Block RAMs of a memory that is cut into columns."""
    return sum(blocks(words, end - first) for first, end in cuts(bits, words))


def memories(params: CoreParams) -> int:
    """Block RAMs of the memories that grow with the configuration."""
    spike = params.integrator == "spike"
    inputs, streams = params.max_inputs, params.scaler_streams
    found = [
        _columns(params.batch * inputs << spike, _EVENT),
        blocks(inputs // params.input_width, 16 * params.input_width),
        streams * _columns(params.max_outputs // streams, params.accumulator_width),
    ]
    if params.external:
        places = params.ring_groups * params.sub_tiles
        rings = [places * rows for rows in (32, 8)]
        found += [blocks(words, params.beat_bits) for words in rings if words > _SMALL]
    else:
        found.append(blocks(params.memory_beats, params.beat_bits))
    if params.vector_words:
        depth = params.vector_words // params.vector_width
        copies = 3 * params.vector_width
        found += [copies * blocks(depth, bits) for bits in _WORD]
    return sum(found)


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
        "sub tiles": params.sub_tiles > 1,
        "token": token,
        "vector width": width,
        "encoder": params.encoder,
        "encoder width": width if params.encoder else 0,
        "batch": params.batch > 1,
        "choices": 0 if external else _choices(params.memory_beats, params.beat_bits),
        "memories": memories(params),
    }


def _choices(words: int, bits: int) -> int:
    """Choices between two bits behind the block RAMs of a memory."""
    return (arrangement(words, bits)[1] - 1) * bits


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
