"""Shipped quantizers: recipe F of the accuracy study, for every tensor and code table."""

from __future__ import annotations

from hw.spec.codes import DEFAULT_THRESHOLD, TABLES
from hw.spec.scales import scale_constant
from sw.convert.container import Quantizer

#: Ratio of scale to 0.179 * mean magnitude, by site, for ``companded`` (recipe F).
SITE_RATIO = {
    "attn_q": 1.0,
    "attn_output": 1.0,
    "ffn_gate": 0.85,
    "ffn_down": 1.2,
    "head": 0.75,
    "query": 1.0,
    "probability": 1.0,  # has one scale per row; the ratio is not used
}

#: Factor on the site's ratio: shorter ladders need larger scales to reach as far.
TABLE_FACTOR = {
    "ttfs8": 0.16,
    "ttfs": 2.3,
    "mttfs": 2.3,
    "signed8": 2.3,
    "signed16": 1.26,
    "companded": 1.0,
    "octave": 1.0,
    "fp4": 1.4,
    "integer": 0.02,  # the largest element decides: max / 127
}

LAYER_SITES = ("attn_q", "attn_output", "ffn_gate", "ffn_down", "query", "probability")


def tensor_names(layers: int) -> list[str]:
    """Every tensor that is coded, in the order of the data's flow."""
    return [f"layers.{n}.{site}" for n in range(layers) for site in LAYER_SITES] + ["head"]


def site_of(tensor: str) -> str:
    """Site of a tensor: the last part of its name."""
    return tensor.rsplit(".", 1)[-1]


def ratio(tensor: str, table: str) -> float:
    """Ratio c of a tensor and a table."""
    return SITE_RATIO[site_of(tensor)] * TABLE_FACTOR[table]


def default_quantizers(layers: int) -> dict[str, dict[str, Quantizer]]:
    """Quantizer of every tensor for every table."""
    return {
        tensor: {
            name: Quantizer(
                constant=scale_constant(ratio(tensor, name)),
                threshold=DEFAULT_THRESHOLD,
                silent_level=table.silent_level,
            )
            for name, table in TABLES.items()
        }
        for tensor in tensor_names(layers)
    }
