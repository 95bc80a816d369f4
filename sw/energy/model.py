"""Energy of a token: counts times constants, by the rules of ``docs/energy.md``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sw.energy.activity import KEYS, VALUES, WEIGHTS, Activity
from sw.energy.macro import MacroEnergy
from sw.energy.technology import Technology
from sw.energy.vector_work import VectorWork
from sw.load.checkpoint import LlamaConfig

#: How movement is counted: to every synapse, or once for a tile of outputs.
COUNTINGS = ("synapse", "broadcast")

#: Outputs that one broadcast reaches.
TILE = 64

#: Bits of an event on its way: row within the block; then a sign, or the code of an integer.
_ROW, _SIGN, _INTEGER = 5, 1, 8

#: Bits of sums and scales that the group scaler multiplies: P and d, X and b, their sum and S_g.
_SCALER = ((17, 8), (14, 8), (25, 11))

PARTS = ("movement", "weights", "compute", "adc", "cache", "vector")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of a token in joules, by part.

    Attributes
    ----------
    movement : float
        Spikes and integers on their way to synapses.
    weights : float
        Weights, scales and offsets read.
    compute : float
        Accumulations, products, time steps, scaling of groups.
    adc : float
        Analog sums and their conversion; 0 without crossbars.
    cache : float
        Keys and values read and written.
    vector : float
        Norms, softmax, rotary embedding, gate, coding, rescaling, vector memory.
    measured : float
        Part of the total that rests on counters of the hardware; the rest comes from attention's
        codes, which the golden model counts, and from shapes.
    """

    movement: float
    weights: float
    compute: float
    adc: float
    cache: float
    vector: float
    measured: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return sum(getattr(self, part) for part in PARTS)

    def as_json(self) -> dict[str, float]:
        """Parts and total in joules, and the share that rests on counters."""
        parts = {part: getattr(self, part) for part in PARTS}
        return parts | {"total": self.total, "measured_share": self.measured / self.total}


def energy(
    activities: Iterable[Activity],
    technology: Technology,
    *,
    config: LlamaConfig,
    tokens: int,
    window: int,
    dense_bits: int | None = None,
    counting: str = "broadcast",
    memory: str = "sram",
    macro: MacroEnergy | None = None,
) -> Energy:
    """Compute the energy of the mean token.

    Parameters
    ----------
    activities : iterable of Activity
        What the tensors did, over all tokens; those of attention may be absent, and are then taken
        as dense 8-bit integers.
    technology : Technology
        Constants.
    config : LlamaConfig
        The model's shape.
    tokens, window : int
        Tokens that were counted, in windows of that length.
    dense_bits : int, optional
        Bits of every value where nothing is skipped; 32 means floats.
    counting : str
        One of ``COUNTINGS``.
    memory : str
        ``"sram"`` or ``"dram"``: where weights and caches are.
    macro : MacroEnergy, optional
        Of the crossbars that the counts are of.

    Raises
    ------
    MissingConstantError
        If the technology lacks a constant.
    ValueError
        If there were conversions, and no macro is given.
    """
    records = list(activities)
    if not any(record.kind == KEYS for record in records):
        records += dense_attention(config, tokens=tokens, window=window)
    sums = dict.fromkeys(("movement", "weights", "compute", "adc", "cache"), 0.0)
    measured = 0.0
    for record in records:
        dense = _dense_bits(record, dense_bits)
        moved = technology["move"] * _moved_bits(record, dense, counting)
        computed = _compute(record, technology, dense)
        read = technology[memory] * _read_bits(record, dense)
        sums["movement"] += moved
        sums["compute"] += computed + _scaling(record, technology, dense_bits)
        sums["weights" if record.kind == WEIGHTS else "cache"] += read
        converted = _converted(record, macro)
        sums["adc"] += converted
        if record.kind == WEIGHTS:
            measured += moved + computed + read + converted
    work = VectorWork.of(config, tokens=tokens, window=window, dense_bits=dense_bits)
    sums["cache"] += technology[memory] * work.cache_bits
    vector = work.picojoules(technology, floating=dense_bits == 32)
    scale = 1e-12 / tokens
    parts = {name: scale * value for name, value in sums.items()}
    return Energy(**parts, vector=scale * vector, measured=scale * measured)


def dense_attention(config: LlamaConfig, *, tokens: int, window: int) -> list[Activity]:
    """Describe attention whose queries and probabilities are all integers, all layers in one."""
    heads = config.layers * config.heads
    pairs = tokens // window * window * (window + 1) // 2 * heads
    keys = Activity(name="queries", kind=KEYS, weight_bits=8)
    keys.integers = tokens * heads * config.head_width
    values = Activity(name="probabilities", kind=VALUES, weight_bits=8)
    values.integers = pairs
    for record in (keys, values):
        record.products = record.integer_products = pairs * config.head_width
        record.digit_products = 2 * record.products
    return [keys, values]


def _dense_bits(record: Activity, dense_bits: int | None) -> int | None:
    """Bits of attention's values: 8 where linear inputs have fewer."""
    return max(dense_bits, 8) if dense_bits and record.kind != WEIGHTS else dense_bits


def _moved_bits(record: Activity, dense_bits: int | None, counting: str) -> float:
    if counting == "synapse":
        if dense_bits:
            return record.products * dense_bits
        return record.event_products + record.integer_products * _INTEGER
    # Once for a tile: the mean outputs of an element tell how many tiles its event goes to.
    tiles = -(-record.products // max(1, record.elements * TILE))
    if dense_bits:
        return record.elements * dense_bits * tiles
    spikes = record.events * (_ROW + _SIGN)
    return tiles * (spikes + record.integers * (_ROW + _INTEGER))


def _read_bits(record: Activity, dense_bits: int | None) -> int:
    if not dense_bits:
        return record.read_bits
    if dense_bits == 32:
        return record.products * 32
    return record.dense_read_bits


def _compute(record: Activity, technology: Technology, dense_bits: int | None) -> float:
    if dense_bits == 32:
        return record.products * (technology["float_multiply"] + technology["float_add"])
    if dense_bits:
        return record.products * technology.product(dense_bits, record.weight_bits)
    additions = record.event_products + record.digit_products + record.step_products
    if record.conversions:  # lines sum by themselves; each code is added to those of its output
        nibbles = record.weight_bits // 4
        return (record.conversions + nibbles * record.step_products) * technology["accumulate"]
    # Fixed channels of 8 bits have no digits: they are multiplied.
    products = record.integer_products if not record.digit_products else 0
    nibbles = record.weight_bits // 4  # 8-bit weights are two planes of 4 bits
    return nibbles * additions * technology["accumulate"] + products * technology.product(
        8, record.weight_bits
    )


def _converted(record: Activity, macro: MacroEnergy | None) -> float:
    if not record.conversions:
        return 0.0
    if macro is None:
        raise ValueError("conversions were counted; give the energy of the macro that made them")
    return macro.picojoules(record.conversions, record.raised_lines)


def _scaling(record: Activity, technology: Technology, dense_bits: int | None) -> float:
    if dense_bits == 32:
        return 0.0
    return record.group_products * sum(technology.product(a, b) for a, b in _SCALER)
