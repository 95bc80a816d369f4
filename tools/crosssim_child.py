"""CrossSim's half of `tools.crosssim`; runs where CrossSim and its needs are, not where we are."""

import json
import sys
import time

import numpy as np
from simulator import AnalogCore, CrossSimParameters

LARGEST = 7
BITS = 12


def parameters(*, adc=False, read=0.0, program=0.0, wire=0.0):
    """Balanced core of 256 x 256, one time step a product: inputs are 0 and 1."""
    p = CrossSimParameters()
    p.core.style = "BALANCED"
    # CrossSim clips noisy conductances at 0, which would halve the noise of cells that are off.
    p.core.balanced.style = "TWO_SIDED" if read else "ONE_SIDED"
    p.core.rows_max = p.core.cols_max = 256
    p.core.mapping.weights.percentile = None
    p.core.mapping.weights.min, p.core.mapping.weights.max = -LARGEST, LARGEST
    for inputs in (p.core.mapping.inputs.mvm, p.core.mapping.inputs.vmm):
        inputs.percentile, inputs.min, inputs.max = None, 0, 1
    p.xbar.device.infinite_on_off_ratio = True
    p.xbar.device.clip_conductance = bool(program)  # cells cannot be written below 0
    if adc:
        p.xbar.adc.mvm.model, p.xbar.adc.mvm.bits = "QuantizerADC", BITS
        p.xbar.adc.mvm.adc_range_option = "CALIBRATED"
        half = 1 << BITS - 1
        p.xbar.adc.mvm.calibrated_range = np.array([-half / LARGEST, (half - 1) / LARGEST])
    for error, magnitude in (("read_noise", read), ("programming_error", program)):
        if magnitude:
            chosen = getattr(p.xbar.device, error)
            chosen.enable, chosen.model, chosen.magnitude = (
                True,
                "NormalIndependentDevice",
                magnitude,
            )
    if wire:
        p.xbar.array.parasitics.enable = True
        p.xbar.device.Rmin, p.xbar.device.Rmax = 10_000, 1e9
        p.xbar.array.parasitics.Rp_col = wire * p.xbar.device.Rmin
    return p


def main():
    """Run every case on the shared data; print JSON."""
    data = np.load(sys.argv[1])
    weights, levels = data["weights"], data["levels"]
    found = {}
    for name, options in json.loads(sys.argv[2]).items():
        repeats = options.pop("repeats")
        seconds, errors = [], []
        for seed in range(repeats):
            np.random.seed(seed)
            core = AnalogCore(weights.astype(float), parameters(**options))
            start = time.perf_counter()
            total = np.zeros((weights.shape[0], levels.shape[1]))
            for level in range(int(levels.max()), 0, -1):
                total += level * (core @ (levels == level).astype(float))
            seconds.append(time.perf_counter() - start)
            errors.append(total - weights @ levels)
        found[name] = {
            "seconds": min(seconds),
            "std": float(np.mean([error.std() for error in errors])),
            "largest": float(max(abs(error).max() for error in errors)),
        }
    print(json.dumps(found))


main()
