"""Configuration of a core: the user's choice and everything that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from hw.spec import codes, formats, scales
from hw.spec.crossbar import Crossbar

INTEGRATORS = ("mac", "spike")
MEMORIES = ("onchip", "axi")

#: Elements a cycle of the vector unit, its largest memory, and the most logits that it keeps.
VECTOR_WIDTHS = (1, 2, 4, 8)
MOST_VECTOR_WORDS = 65536
MOST_BEST = 8

#: Most vectors of an instruction.
MOST_VECTORS = 64

#: Bits of a vector's number.
VECTOR_BITS = (MOST_VECTORS - 1).bit_length()

#: Bits of a bus beat, and of a core's beat that comes over a bus.
BUS_WIDTHS = (32, 64, 128, 256, 512, 1024)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """What a person chooses.

    Attributes
    ----------
    lanes : int
        Integrator lanes, 1..256: weights of a row that are added in one cycle. 8-bit weights sit in
        pairs of lanes, so models with an 8-bit head need an even number.
    tile_lanes : int or None
        Lanes of a tile in memory: ``lanes``, as where it is None, or 2, 4 or 8 times as many. The
        core then integrates each block of the vector several times, for one part of the tile after
        the other, and a row of a tile is so many neighbouring beats.
    memory_beats : int
        Synapse memory in beats of ``4 * lanes`` bits: its depth on chip, or what the core can
        address outside.
    max_inputs : int
        Longest input vector, a multiple of 32.
    max_outputs : int
        Most outputs of one instruction, of all its vectors together.
    integrator : str
        ``"mac"``: event-driven multiply-accumulate. ``"spike"``: two adders a lane, which sum up
        the weights that have fired, and that current over the time steps.
    memory : str
        Where weights are: ``"onchip"``, or ``"axi"``, behind an AXI4 read manager. What follows
        matters to ``"axi"`` only.
    axi_data_width : int, optional
        Bits of a bus beat: a power of two from 32 to 1024, at most ``4 * tile_lanes``; by default
        ``4 * lanes``. With fewer several make a beat of the core, and with more one holds
        neighbouring parts of a tile's row.
    axi_id_width : int
        Bits of the bus's transaction id, 1..16.
    outstanding : int
        Bursts that may wait for their data, 1..64.
    ring_groups : int
        Weight groups that are kept or on their way, 4..64.
    hole : int
        Rows that do not fire are read through where fewer than this stand together, 1..8; with 1
        none are.
    batch : int
        Most vectors that one instruction multiplies by its matrix, of which every row is then read
        once, 1..64; ``"axi"`` only if above 1.
    vector_words : int
        Words of vector memory, a multiple of ``vector_width``, at most 65,536: the core then runs
        whole tokens by itself and needs ``"axi"``. With 0 it only multiplies, and the host does all
        else.
    vector_width : int
        Elements that the vector unit takes in a cycle: 1, 2, 4 or 8.
    best : int
        Largest logits that are kept for the host, 1..8.
    encoder : bool
        Whether the vector unit has what encoders need: LayerNorm, sums, GELU, biases.
    crossbar : Crossbar, optional
        Weights are cells of memristor crossbars, which lanes of the ``spike`` kind emulate.
    """

    lanes: int = 8
    tile_lanes: int | None = None
    memory_beats: int = 65536
    max_inputs: int = 1024
    max_outputs: int = 1024
    integrator: str = "mac"
    memory: str = "onchip"
    axi_data_width: int | None = None
    axi_id_width: int = 4
    outstanding: int = 8
    ring_groups: int = 4
    hole: int = 1
    batch: int = 1
    vector_words: int = 0
    vector_width: int = 4
    best: int = 4
    encoder: bool = False
    crossbar: Crossbar | None = None

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
    tile_lanes, sub_tiles : int
        Lanes of a memory tile, and how many times wider it is than the core: 1, 2, 4 or 8.
    beat_bits, words_per_beat : int
        Width of a memory beat, and 32-bit words that the data window takes for one beat.
    memory_bytes : int
        What all beats of the memory hold.
    max_blocks : int
        Blocks of the longest input vector.
    accumulator_width : int
        Signed bits that no sum of ``max_inputs`` products can overflow.
    scaler_streams : int
        Lanes that the group scaler serves at once, each one of at most 24: a power of two.
    external : bool
        Whether weights come over AXI4.
    alignment : int
        Beats that ``weight_base`` must be a multiple of: those of a bus beat, at least 1.
    outstanding, ring_groups, hole, batch, axi_data_width, axi_id_width : int
        As in the configuration.
    vector_words, vector_width, best, encoder, crossbar
        As in the configuration.
    shared : int
        Neighbouring blocks that share a scale, because they share an array of crossbars.
    input_width : int
        Elements of an input vector that are written in a cycle.
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

    #: Bits of an AXI byte address.
    axi_address_width = 32

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
        tile_lanes = lanes if config.tile_lanes is None else config.tile_lanes
        if tile_lanes not in (lanes, 2 * lanes, 4 * lanes, 8 * lanes):
            raise ValueError(
                f"tile_lanes must be 1, 2, 4 or 8 times the {lanes} lanes, not {tile_lanes}"
            )
        if config.max_outputs < tile_lanes * max(config.batch, 1):
            each = f" for each of {config.batch} vectors" if config.batch > 1 else ""
            raise ValueError(
                f"max_outputs must be at least the {tile_lanes} lanes{each}, not "
                f"{config.max_outputs}"
            )
        self.sub_tiles = tile_lanes // lanes
        least = formats.W4.beats * self.sub_tiles
        if config.memory_beats < least:
            raise ValueError(
                f"memory_beats must hold one weight group of {least} beats, not "
                f"{config.memory_beats}"
            )
        if config.integrator not in INTEGRATORS:
            raise ValueError(
                f"integrator must be one of {', '.join(INTEGRATORS)}, not {config.integrator!r}"
            )
        if config.memory not in MEMORIES:
            raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, not {config.memory!r}")
        if config.memory == "axi":
            self.axi_data_width = config.axi_data_width or 4 * lanes
            _check_external(
                config, self.axi_data_width, 4 * tile_lanes, 1 << self.axi_address_width
            )
        if not 1 <= config.batch <= MOST_VECTORS:
            raise ValueError(f"batch must be 1..{MOST_VECTORS} vectors, not {config.batch}")
        if config.batch > 1 and config.memory != "axi":
            raise ValueError(
                f"a batch of {config.batch} vectors needs memory 'axi', where they share what is "
                f"fetched, not {config.memory!r}"
            )
        if config.vector_words:
            _check_vector(config)
        elif config.encoder:
            raise ValueError("an encoder needs vector_words, where its sentence lies, not 0")
        if config.crossbar:
            _check_crossbar(config)
        self.crossbar = config.crossbar
        self.shared = config.crossbar.rows // codes.BLOCK if config.crossbar else 1
        if config.crossbar:
            self.sum_width = config.crossbar.sum_width
        self.vector_words, self.vector_width = config.vector_words, config.vector_width
        self.best, self.encoder = config.best, config.encoder
        self.input_width = config.vector_width if config.vector_words else 1
        self.lanes, self.tile_lanes = lanes, tile_lanes
        self.external = config.memory == "axi"
        self.axi_id_width = config.axi_id_width
        self.outstanding = config.outstanding
        self.ring_groups = config.ring_groups
        self.hole = config.hole
        self.batch = config.batch
        self.integrator = config.integrator
        self.memory_beats = config.memory_beats
        self.max_inputs = config.max_inputs
        self.max_outputs = config.max_outputs
        self.max_blocks = config.max_inputs // codes.BLOCK
        self.beat_bits = 4 * lanes
        self.memory_bytes = config.memory_beats * self.beat_bits // 8
        self.alignment = max(1, self.axi_data_width // self.beat_bits) if self.external else 1
        self.words_per_beat = math.ceil(lanes / 8)
        self.scaler_streams = 1 << (math.ceil(lanes / 24) - 1).bit_length()
        array = codes.BLOCK * self.shared  # one that is not full may give as much as a full one
        self.accumulator_width = accumulator_width(-(-self.max_inputs // array) * array)

    def describe(self) -> dict:
        """Everything that defines the hardware, ready for JSON."""
        chosen = dataclasses.asdict(self.config)
        if self.batch == 1:
            del chosen["batch"]  # the core is the one that knew no batches
        if not self.config.encoder:
            del chosen["encoder"]  # likewise
        if self.crossbar is None:
            del chosen["crossbar"]  # and so for crossbars
        else:
            chosen["crossbar"]["converter"]["kind"] = type(self.crossbar.converter).__name__
        return {"specification": formats.VERSION, **chosen}

    @property
    def hash(self) -> int:
        """Fingerprint of :meth:`describe`, 64 bits."""
        text = json.dumps(self.describe(), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _check_external(config: CoreConfig, width: int, tile_row: int, space: int) -> None:
    """Refuse what an AXI4 manager cannot have, among it more than ``space`` bytes."""
    row = 4 * config.lanes
    if row not in BUS_WIDTHS:
        raise ValueError(
            f"external memory needs 8, 16, 32, 64, 128 or 256 lanes, not {config.lanes}"
        )
    if width not in BUS_WIDTHS:
        raise ValueError(f"axi_data_width must be a power of two from 32 to 1024, not {width}")
    if width > tile_row:
        raise ValueError(
            f"axi_data_width must be at most 4 * tile_lanes = {tile_row}, not {width}; choose a "
            "narrower bus or more tile_lanes"
        )
    if config.memory_beats * row // 8 > space:
        raise ValueError(
            f"memory_beats must be at most {space * 8 // row}, the bus's 4 GiB, not "
            f"{config.memory_beats}"
        )
    for name, least, most in (
        ("axi_id_width", 1, 16),
        ("outstanding", 1, 64),
        ("ring_groups", 4, 64),
        ("hole", 1, 8),
    ):
        value = getattr(config, name)
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least}..{most}, not {value}")


def _check_vector(config: CoreConfig) -> None:
    """Refuse a vector unit that cannot be."""
    if config.memory != "axi":
        raise ValueError(
            f"a core with vector memory needs memory 'axi', where cache and program lie, not "
            f"{config.memory!r}"
        )
    if config.vector_width not in VECTOR_WIDTHS:
        raise ValueError(
            f"vector_width must be 1, 2, 4 or 8 elements a cycle, not {config.vector_width}"
        )
    words = config.vector_words
    if not 0 < words <= MOST_VECTOR_WORDS or words % config.vector_width:
        raise ValueError(
            f"vector_words must be a multiple of {config.vector_width} and at most "
            f"{MOST_VECTOR_WORDS}, not {words}; round it up"
        )
    if not 1 <= config.best <= MOST_BEST:
        raise ValueError(f"best must be 1..{MOST_BEST} logits, not {config.best}")


def _check_crossbar(config: CoreConfig) -> None:
    """Refuse what cannot have crossbars."""
    if config.integrator != "spike":
        raise ValueError(
            f"crossbars sum up spikes in time; choose integrator 'spike', not {config.integrator!r}"
        )
    if config.vector_words or config.batch > 1:
        raise ValueError(
            "a core with crossbars multiplies static weights only, one vector at a time: choose a "
            "configuration whose host does attention, such as mac8"
        )
    if config.tile_lanes not in (None, config.lanes):
        raise ValueError(
            f"an array is as wide as the core: leave tile_lanes {config.tile_lanes} out"
        )


def accumulator_width(inputs: int) -> int:
    """Signed bits for sums over ``inputs`` inputs of any table and weight format.

    The largest group term is that of 8-bit weights, ``127 * 128 * 255 * 32``, or of 4-bit weights,
    ``127 * (8 * 255 + 255) * 32``, times the largest block scale (``docs/arithmetic.md`` §5).
    """
    group = codes.BLOCK * 255 * 127 * max(128, 8 + 1)
    bound = group * scales.LARGEST_RELATIVE_SCALE * math.ceil(inputs / codes.BLOCK)
    return bound.bit_length() + 1
