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
    "one": 3128.639,
    "mac lanes": 134.995,
    "spike": 970.067,
    "spike lanes": 172.204,
    "external": 696.581,
    "sub tiles": 177.009,
    "token": 8927.025,
    "vector width": 2393.287,
    "encoder width": 1422.171,
    "choices": 0.804,
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
    "one": 1.574,
    "vector width": 1.313,
    "encoder": 1.852,
    "memories": 1.028,
}
