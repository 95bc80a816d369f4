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
    "one": 3132.378,
    "mac lanes": 134.756,
    "spike": 960.919,
    "spike lanes": 172.039,
    "external": 709.359,
    "sub tiles": 173.217,
    "token": 8812.177,
    "vector width": 2427.888,
    "encoder": 69.176,
    "encoder width": 1395.184,
    "choices": 0.806,
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
    "one": 1.614,
    "vector width": 1.279,
    "encoder": 2.023,
    "memories": 1.026,
}
