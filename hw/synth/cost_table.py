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
    "mac8-token",
    "mac8-token-small",
    "spike128-axi",
    "spike16-token",
    "spike32-axi",
    "spike32-token",
    "spike64",
    "spike64-axi",
    "spike8",
    "spike8-token",
)

LUT = {
    "one": 2140.73,
    "spike": 925.228,
    "spike lanes": 39.224,
    "streams": 2064.907,
    "external": 2037.623,
    "sub tiles": 211.946,
    "token": 5987.705,
    "vector width": 2775.476,
    "encoder": 1458.995,
    "encoder width": 1087.297,
    "choices": 0.972,
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
    "one": 1.549,
    "vector width": 1.271,
    "encoder": 2.573,
    "memories": 1.022,
}
