"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""

#: Configurations whose synthesis they are fitted to.
FITTED = (
    "mac128-axi",
    "mac128-encoder",
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
    "one": 3159.313,
    "mac lanes": 131.546,
    "spike": 941.082,
    "spike lanes": 169.999,
    "external": 869.709,
    "sub tiles": 263.326,
    "token": 8442.612,
    "vector width": 2465.874,
    "encoder width": 1406.912,
    "choices": 0.825,
}

DSP = {
    "one": 5.001,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 8.491,
    "vector width": 13.332,
    "encoder": 1.504,
    "encoder width": 6.919,
}

BRAM = {
    "one": 1.426,
    "vector width": 1.208,
    "encoder": 2.721,
    "memories": 1.026,
}
