"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""

LUT = {
    "one": 2682.121,
    "mac lanes": 155.306,
    "spike": 623.997,
    "spike lanes": 201.244,
    "sub tiles": 902.082,
    "token": 8570.347,
    "vector width": 2428.5,
    "memory blocks": 5.624,
}

DSP = {
    "one": 5.0,
    "mac lanes": 0.5,
    "streams": 4.0,
    "token": 8.0,
    "vector width": 17.5,
}

BRAM = {
    "one": 3.984,
    "external lanes": 0.106,
    "token": 17.348,
    "vector width": 0.02,
    "memory blocks": 1.029,
    "vector blocks": 0.029,
    "event blocks": 10.785,
}
