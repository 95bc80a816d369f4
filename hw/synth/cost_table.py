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
    "one": 3124.212,
    "mac lanes": 135.614,
    "spike": 971.596,
    "spike lanes": 172.441,
    "external": 674.369,
    "sub tiles": 180.501,
    "token": 9227.229,
    "vector width": 2283.389,
    "encoder width": 1448.64,
    "batch": 168.378,
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
