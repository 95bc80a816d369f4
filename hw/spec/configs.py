"""Named configurations, used by the builder, the tests, the benchmarks and the documentation."""

from __future__ import annotations

from hw.spec.params import CoreConfig

#: Name of the configuration that is built when none is named.
DEFAULT = "mac8"


def _outside(*, lanes: int, **changes) -> CoreConfig:
    """128 MiB behind AXI4, where every row that does not fire is saved."""
    return CoreConfig(
        lanes=lanes,
        memory_beats=(1 << 30) // (4 * lanes),
        max_inputs=1536,
        max_outputs=3072,
        memory="axi",
        outstanding=16,
    ).replace(**changes)


def _token(*, lanes: int, **changes) -> CoreConfig:
    """Run whole tokens of SmolLM2."""
    return _outside(lanes=lanes, max_outputs=7040, vector_width=8, **changes)


_TOKEN = _token(lanes=32, tile_lanes=64, batch=8, vector_words=16384)

_HALF_TOKEN = _TOKEN.replace(lanes=16, memory_beats=1 << 24, vector_width=4)

_SMALL_TOKEN = CoreConfig(
    lanes=8,
    tile_lanes=16,
    memory_beats=1 << 18,
    max_inputs=256,
    max_outputs=1024,
    memory="axi",
    batch=8,
    vector_words=4608,
)

CONFIGS: dict[str, CoreConfig] = {
    # Holds the whole bundled model on chip.
    "mac8": CoreConfig(lanes=8, max_inputs=1536),
    # Too small for one layer of the bundled model: the driver streams it.
    "mac8-small": CoreConfig(lanes=8, memory_beats=4096, max_inputs=256, max_outputs=256),
    # The same with lanes without multipliers.
    "spike8": CoreConfig(lanes=8, max_inputs=1536, integrator="spike"),
    # Wide enough to run a SmolLM2 layer in a short simulation.
    "mac64": CoreConfig(lanes=64, memory_beats=65536, max_inputs=1536, max_outputs=1536),
    "spike64": CoreConfig(
        lanes=64, memory_beats=65536, max_inputs=1536, max_outputs=1536, integrator="spike"
    ),
    # A row of a tile is 32 bytes, half a DRAM burst: 128 lanes would not divide 576 outputs.
    "mac32-axi": _outside(lanes=32, tile_lanes=64),
    "spike32-axi": _outside(lanes=32, tile_lanes=64, integrator="spike"),
    "mac64-axi": _outside(lanes=64),
    "spike64-axi": _outside(lanes=64, integrator="spike"),
    # A row is a whole DRAM burst.
    "mac128-axi": _outside(lanes=128),
    "spike128-axi": _outside(lanes=128, integrator="spike"),
    # Run tokens by themselves: the bundled model in 1 MiB, then SmolLM2.
    "mac8-token": _SMALL_TOKEN,
    # Holds only two of the bundled model's five layers: the driver streams them.
    "mac8-token-small": _SMALL_TOKEN.replace(memory_beats=51200, batch=2, vector_words=4096),
    "spike8-token": _SMALL_TOKEN.replace(integrator="spike"),
    # A row of a tile is half a DRAM burst here too; half the elements a cycle, as half the beats.
    "mac16-token": _HALF_TOKEN,
    "spike16-token": _HALF_TOKEN.replace(integrator="spike"),
    "mac32-token": _TOKEN,
    "spike32-token": _TOKEN.replace(integrator="spike"),
    # Holds the bundled model with its whole context in the block RAM of an ECP5-85.
    "ulx3s": _SMALL_TOKEN.replace(
        memory_beats=77824, max_outputs=512, batch=1, vector_words=2304, vector_width=2
    ),
    "mac128-token": _token(lanes=128, batch=16, vector_words=65536),
    # Run encoders as well: small ones, then MiniLM with sentences of 38 and 91 tokens.
    "mac8-encoder": _SMALL_TOKEN.replace(encoder=True, vector_words=8192),
    "spike8-encoder": _SMALL_TOKEN.replace(encoder=True, vector_words=8192, integrator="spike"),
    "mac32-encoder": _TOKEN.replace(encoder=True, vector_words=32768),
    "mac128-encoder": _token(lanes=128, batch=16, vector_words=65536, encoder=True),
}
