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
    "spike8-encoder",
    "spike8-token",
    "ulx3s",
)

LUT = {
    "one": 3179.283,
    "mac lanes": 129.24,
    "spike": 924.354,
    "spike lanes": 168.493,
    "external": 983.698,
    "sub tiles": 221.438,
    "token": 8354.979,
    "vector width": 2471.472,
    "encoder": 1012.776,
    "encoder width": 1151.172,
    "choices": 0.84,
}

DSP = {
    "one": 5.001,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 8.491,
    "vector width": 13.332,
    "encoder": 1.507,
    "encoder width": 6.919,
}

BRAM = {
    "one": 1.489,
    "vector width": 1.222,
    "encoder": 2.65,
    "memories": 1.023,
}
