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
    "one": 3129.81,
    "mac lanes": 135.103,
    "spike": 961.674,
    "spike lanes": 172.24,
    "external": 692.508,
    "sub tiles": 334.001,
    "token": 8662.561,
    "vector width": 2429.673,
    "encoder": 37.189,
    "encoder width": 1402.815,
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
    "one": 0.869,
    "vector width": 1.537,
    "encoder": 1.903,
    "memories": 1.024,
}
