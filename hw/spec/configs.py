"""Named configurations, used by the builder, the tests, the benchmarks and the documentation."""

from __future__ import annotations

from hw.spec.params import CoreConfig

#: Name of the configuration that is built when none is named.
DEFAULT = "mac8"

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
    # 128 MiB outside. A row of a tile is a whole DRAM burst of 64 bytes, four beats of the core.
    "mac32-axi": CoreConfig(
        lanes=32,
        tile_lanes=128,
        memory_beats=1 << 23,
        max_inputs=1536,
        max_outputs=3072,
        memory="axi",
        axi_data_width=128,
        outstanding=16,
        ring_groups=4,
    ),
    # A row is a whole DRAM burst: every row that does not fire is saved.
    "mac128-axi": CoreConfig(
        lanes=128,
        memory_beats=1 << 21,
        max_inputs=1536,
        max_outputs=3072,
        memory="axi",
        axi_data_width=512,
        outstanding=16,
        ring_groups=4,
    ),
}
