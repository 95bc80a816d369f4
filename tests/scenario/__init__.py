"""Scenarios of single components, told once and played on Amaranth's simulator and on Verilator."""

from __future__ import annotations

import functools

from tests.scenario import array, encoder, lanes, scaler

_CASES = {
    "encoder_mac": (encoder, {"integrator": "mac"}),
    "encoder_spike": (encoder, {"integrator": "spike"}),
    "mac1": (lanes, {"integrator": "mac", "lanes": 1}),
    "mac5": (lanes, {"integrator": "mac", "lanes": 5}),
    "spike1": (lanes, {"integrator": "spike", "lanes": 1}),
    "spike3": (lanes, {"integrator": "spike", "lanes": 3}),
    "scaler1": (scaler, {"lanes": 1}),
    "scaler26": (scaler, {"lanes": 26}),
    "onchip_mac": (array, {"integrator": "mac", "memory": "onchip", "lanes": 10}),
    "onchip_spike": (array, {"integrator": "spike", "memory": "onchip", "lanes": 3}),
    "axi_mac": (array, {"integrator": "mac", "memory": "axi", "lanes": 8}),
    "axi_spike": (array, {"integrator": "spike", "memory": "axi", "lanes": 8}),
}

#: By name, how to make a component, and how to make a random scenario for it.
SCENARIOS = {
    name: (
        functools.partial(module.component, **case),
        functools.partial(module.scenario, **case),
    )
    for name, (module, case) in _CASES.items()
}
