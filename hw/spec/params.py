"""Configuration of a core: the user's choice and everything that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from hw.spec import codes, formats, scales

INTEGRATORS = ("mac", "spike")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """What a person chooses.

    Attributes
    ----------
    lanes : int
        Integrator lanes, 1..256: weights of a row that are added in one cycle. 8-bit weights sit in
        pairs of lanes, so models with an 8-bit head need an even number.
    memory_beats : int
        Depth of the on-chip synapse memory in beats of ``4 * lanes`` bits.
    max_inputs : int
        Longest input vector, a multiple of 32.
    max_outputs : int
        Most outputs of one instruction.
    integrator : str
        ``"mac"``: event-driven multiply-accumulate. ``"spike"``: two adders a lane, which sum up
        the weights that have fired, and that current over the time steps.
    """

    lanes: int = 8
    memory_beats: int = 65536
    max_inputs: int = 1024
    max_outputs: int = 1024
    integrator: str = "mac"

    def replace(self, **changes) -> CoreConfig:
        """Variant with some fields changed."""
        return dataclasses.replace(self, **changes)


class CoreParams:
    """Derived and validated parameters; the only object that components see.

    Parameters
    ----------
    config : CoreConfig
        The user's choice.

    Attributes
    ----------
    beat_bits, words_per_beat : int
        Width of a memory beat, and 32-bit words that the data window takes for one beat.
    max_blocks : int
        Blocks of the longest input vector.
    accumulator_width : int
        Signed bits that no sum of ``max_inputs`` products can overflow.
    scaler_streams : int
        Lanes that the group scaler serves at once.
    hash : int
        64 bits that identify the configuration and the specification's version.

    Raises
    ------
    ValueError
        For a configuration that cannot be built; the message says what to change.
    """

    #: Signed bits of a lane's group sum, of the sum of a block's codes and of an event's code.
    sum_width = 17
    code_sum_width = 14
    code_width = 9

    def __init__(self, config: CoreConfig):
        self.config = config
        lanes = config.lanes
        if not 1 <= lanes <= 256:
            raise ValueError(f"lanes must be 1..256, not {lanes}; choose e.g. 8, 32 or 128")
        if config.max_inputs < 2 * codes.BLOCK or config.max_inputs % codes.BLOCK:
            raise ValueError(
                f"max_inputs must be a multiple of {codes.BLOCK} and at least {2 * codes.BLOCK}, "
                f"not {config.max_inputs}; round it up"
            )
        if config.max_outputs < lanes:
            raise ValueError(
                f"max_outputs must be at least the {lanes} lanes, not {config.max_outputs}"
            )
        least = formats.W4.beats
        if config.memory_beats < least:
            raise ValueError(
                f"memory_beats must hold one weight group of {least} beats, not "
                f"{config.memory_beats}"
            )
        if config.integrator not in INTEGRATORS:
            raise ValueError(
                f"integrator must be one of {', '.join(INTEGRATORS)}, not {config.integrator!r}"
            )
        self.lanes = lanes
        self.integrator = config.integrator
        self.memory_beats = config.memory_beats
        self.max_inputs = config.max_inputs
        self.max_outputs = config.max_outputs
        self.max_blocks = config.max_inputs // codes.BLOCK
        self.beat_bits = 4 * lanes
        self.words_per_beat = math.ceil(lanes / 8)
        self.scaler_streams = math.ceil(lanes / 24)
        self.accumulator_width = accumulator_width(self.max_inputs)

    def describe(self) -> dict:
        """Everything that defines the hardware, ready for JSON."""
        return {"specification": formats.VERSION, **dataclasses.asdict(self.config)}

    @property
    def hash(self) -> int:
        """Fingerprint of :meth:`describe`, 64 bits."""
        text = json.dumps(self.describe(), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def accumulator_width(inputs: int) -> int:
    """Signed bits for sums over ``inputs`` inputs of any table and weight format.

    The largest group term is that of 8-bit weights, ``127 * 128 * 255 * 32``, or of 4-bit weights,
    ``127 * (8 * 255 + 255) * 32``, times the largest block scale (``docs/arithmetic.md`` §5).
    """
    group = codes.BLOCK * 255 * 127 * max(128, 8 + 1)
    bound = group * scales.LARGEST_RELATIVE_SCALE * math.ceil(inputs / codes.BLOCK)
    return bound.bit_length() + 1
