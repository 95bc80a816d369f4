"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""

#: Configurations whose synthesis they are fitted to.
FITTED = (
    "mac128-axi",
    "mac16-token",
    "mac32-axi",
    "mac32-encoder",
    "mac32-token",
    "mac64",
    "mac64-axi",
    "mac8",
    "mac8-encoder",
    "mac8-small",
    "spike128-axi",
    "spike32-axi",
    "spike32-token",
    "spike64",
    "spike64-axi",
    "spike8",
    "spike8-token",
)

LUT = {
    "one": 2141.841,
    "spike": 928.791,
    "spike lanes": 39.194,
    "streams": 2063.009,
    "external": 2045.668,
    "sub tiles": 205.562,
    "token": 5912.747,
    "vector width": 2793.207,
    "encoder": 1531.181,
    "encoder width": 1070.041,
    "choices": 0.973,
}

DSP = {
    "one": 5.0,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 9.0,
    "vector width": 13.25,
    "encoder": 1.0,
    "encoder width": 7.0,
}

BRAM = {
    "one": 1.746,
    "vector width": 1.582,
    "encoder": 1.511,
    "memories": 1.013,
}
