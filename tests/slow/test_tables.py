"""Every code table on both integrators: 10,000 random blocks give the int64 dot product."""

import numpy as np
import pytest
import torch

from hw.spec.codes import BLOCK, TABLES
from hw.spec.formats import W4
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from hw.spec.registers import REGISTERS
from sim.verilated import VerilatedTransport
from sw.compile.image import needs_sums, pack_matrix
from sw.convert.container import WeightMatrix
from sw.golden.codes import encode, from_codes
from sw.golden.counters import event_counters

pytestmark = pytest.mark.slow

BLOCKS = 10_000
#: Blocks that share weights and silent level.
BATCH = 400
LANES = 8


@pytest.fixture(scope="module", params=INTEGRATORS)
def core(request):
    config = CoreConfig(lanes=LANES, memory_beats=64, max_inputs=64, max_outputs=LANES)
    transport = VerilatedTransport(CoreParams(config.replace(integrator=request.param)))
    yield transport
    transport.close()


def write(core, name, **fields):
    core.write(REGISTERS[name].address, REGISTERS[name].pack(**fields))


def window(core, name, words):
    core.write(REGISTERS[f"{name}_address"].address, 0)
    core.write_window(REGISTERS[f"{name}_data"].address, words)


def vectors(rng, table):
    """Heavy-tailed inputs, some all zero, some with one outlier; codes for the softmax table."""
    if not table.linear:
        codes = rng.integers(-255, 256, (BATCH, BLOCK))
        return codes * (rng.random((BATCH, BLOCK)) < rng.random((BATCH, 1)))
    x = rng.laplace(0, 1, (BATCH, BLOCK)) * 2.0 ** rng.uniform(0, 12, (BATCH, 1))
    x[: BATCH // 20] = 0
    x[BATCH // 20 : BATCH // 5, 3] *= 40
    return np.clip(np.rint(x), -32767, 32767).astype(np.int64)


@pytest.mark.parametrize("name", TABLES)
def test_ten_thousand_blocks(core, name):
    table = TABLES[name]
    rng = np.random.default_rng(table.number)
    for batch in range(BLOCKS // BATCH):
        silent = int(rng.integers(0, 16)) if table.masked else table.silent_level
        constant, threshold = int(rng.integers(20, 1200)), int(rng.integers(0, 20))
        x = vectors(rng, table)
        tensor = torch.from_numpy(x)
        encoded = (
            encode(
                tensor,
                table=table,
                constant=constant,
                threshold=threshold,
                silent_level=silent,
            )
            if table.linear
            else from_codes(tensor, table=table)
        )
        codes = rng.integers(-8, 8, (LANES, BLOCK), dtype=np.int8)
        codes[0] = -8 if batch % 2 else codes[0]
        ones = np.ones((LANES, 1), np.int8)
        exponent = np.zeros(LANES, np.int16)
        matrix = WeightMatrix(format=W4, codes=codes, d=ones, b=0 * ones, exponent=exponent)
        sums = needs_sums(name, silent)
        image = pack_matrix(matrix, LANES, sums=sums)
        window(core, "memory", image.words.reshape(-1))
        write(core, "shape", inputs=BLOCK, tiles=1)
        write(core, "weight_base")
        write(core, "mode", table=table.number, codes=not table.linear, sums=sums)
        write(core, "quantizer", constant=constant, threshold=threshold, silent=silent)
        decoded, scales = encoded.decoded[:, 0].numpy(), encoded.scales[:, 0].numpy()
        expected = decoded @ codes.astype(np.int64).T * scales[:, None]
        got = np.zeros_like(expected)
        counted = dict.fromkeys(("spikes", "silent", "integer_events", "steps"), 0)
        for i in range(BATCH):
            window(core, "input", (x[i] & 0xFFFF).astype(np.uint32))
            write(core, "control", start=1)
            core.wait(REGISTERS["status"].address, 1, 0, 20_000)
            core.write(REGISTERS["output_address"].address, 0)
            words = core.read_window(REGISTERS["output_data"].address, 2 * LANES)
            got[i] = words.view(np.int64)
            for counter in counted:
                counted[counter] += core.read(REGISTERS[counter].address)
        wrong = np.argwhere(got != expected)
        assert not len(wrong), f"{name}: block {wrong[0][0]} of batch {batch}, lane {wrong[0][1]}"
        predicted = event_counters(encoded)
        assert counted == {counter: predicted[counter] for counter in counted}
