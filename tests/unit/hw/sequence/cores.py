"""Cores with vector memory over buses of all widths."""

from hw.spec.params import CoreConfig, CoreParams


def params(bus, **changes):
    """Parameters of a core with a bus of so many bits."""
    lanes = max(8, bus // 4)
    config = {"lanes": lanes, "max_outputs": 1024, "memory": "axi", "axi_data_width": bus}
    return CoreParams(CoreConfig(**{**config, "vector_words": 4096, **changes}))
