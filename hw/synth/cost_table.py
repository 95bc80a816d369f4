"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""

#: Configurations whose synthesis they are fitted to.
FITTED = (
    "mac128-axi",
    "mac128-encoder",
    "mac128-token",
    "mac16-token",
    "mac32-axi",
    "mac32-encoder",
    "mac32-token",
    "mac64",
    "mac64-axi",
    "mac8",
    "mac8-encoder",
    "mac8-small",
    "mac8-token",
    "mac8-token-small",
    "spike128-axi",
    "spike16-token",
    "spike32-axi",
    "spike32-token",
    "spike64",
    "spike64-axi",
    "spike8",
    "spike8-encoder",
    "spike8-token",
    "ulx3s",
)

LUT = {
    "one": 3123.388,
    "mac lanes": 135.665,
    "spike": 973.68,
    "spike lanes": 172.474,
    "external": 673.381,
    "sub tiles": 178.527,
    "token": 9262.666,
    "vector width": 2267.36,
    "encoder width": 1458.779,
    "batch": 167.035,
    "choices": 0.801,
}

DSP = {
    "one": 5.004,
    "mac lanes": 0.5,
    "streams": 3.998,
    "token": 8.617,
    "vector width": 13.376,
    "encoder": 1.357,
    "encoder width": 6.88,
}

BRAM = {
    "one": 1.533,
    "vector width": 1.225,
    "encoder": 1.926,
    "batch": 0.131,
    "memories": 1.031,
}
