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
    "one": 3132.701,
    "mac lanes": 134.857,
    "spike": 955.348,
    "spike lanes": 172.236,
    "external": 697.069,
    "sub tiles": 338.567,
    "token": 8448.85,
    "vector width": 2495.451,
    "encoder": 228.972,
    "encoder width": 1340.535,
    "choices": 0.805,
}

DSP = {
    "one": 5.001,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 8.497,
    "vector width": 13.33,
    "encoder": 1.495,
    "encoder width": 6.922,
}

BRAM = {
    "one": 1.38,
    "vector width": 1.204,
    "encoder": 2.667,
    "memories": 1.028,
}
