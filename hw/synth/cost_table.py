"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""

LUT = {
    "one": 3799.883,
    "spike": 1050.626,
    "spike lanes": 32.605,
    "streams": 444.647,
    "external": 1932.411,
    "sub tiles": 1932.411,
    "token": 5287.647,
    "vector width": 2428.5,
}

DSP = {
    "one": 5.0,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 8.0,
    "vector width": 17.5,
}

BRAM = {
    "one": 2.597,
    "streams": 2.424,
    "external": 0.542,
    "external lanes": 0.179,
    "token": 0.715,
    "vector width": 2.423,
    "memory blocks": 1.135,
    "vector blocks": 3.635,
    "output blocks": 1.071,
    "event blocks": 1.143,
}
