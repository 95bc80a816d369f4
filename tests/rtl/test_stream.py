"""The bundled model in device memory that holds two of its layers, on a Verilated core."""

import pytest
import torch

from hw.spec.registers import COUNTERS
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from sw.compile.program import compile_program
from sw.compile.stream import compile_stream
from sw.driver.stream import StreamDevice
from sw.errors import UserError
from sw.opening import golden_model, open_model, open_params
from tests.unit.compile.programs import best_of

pytestmark = pytest.mark.rtl

CONFIG = "mac8-token-small"
TOKENS = (5, 63, 221, 0, 511, 302)
PARAMS = open_params(CONFIG)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return open_model(None)


@pytest.fixture(scope="module")
def program(model):
    return compile_stream(model, PARAMS, name=CONFIG)


@pytest.fixture(scope="module")
def expected(model, program):
    """Largest logits of the golden model and its counters, for every token."""
    golden = golden_model(model, table=program.table, params=PARAMS)
    tokens = []
    for token in TOKENS:
        golden.golden.reset()
        best = best_of(golden.step(token), PARAMS.best)
        counted = {n: golden.counters[n] for n in COUNTERS if golden.counters[n] is not None}
        tokens.append((best, counted))
    return tokens


def run(program, expected, link, memory=None):
    """Run all tokens and compare each; return what loading and computing took."""
    with VerilatedTransport(PARAMS, memory=memory) as transport:
        device = StreamDevice(transport, PARAMS, program, link=link)
        for position, (best, counted) in enumerate(expected):
            assert device.step(TOKENS[position], position) == best
            assert {name: device.counters[name] for name in counted} == counted
        assert transport.memory_counts().violations == 0
        return device.counts


def test_the_whole_model_does_not_fit(model):
    with pytest.raises(UserError, match="need memory_beats of .*stream the layers"):
        compile_program(model, PARAMS, name=CONFIG)


@pytest.mark.parametrize(("link", "least", "most"), [(4, 0.95, 1), (2, 0.6, 0.75), (0.5, 0.1, 0.2)])
def test_loading_beside_computing(program, expected, link, least, most):
    """As fast as the memory itself, and slower than layers are computed."""
    counts = run(program, expected, link)
    assert least < counts.overlap < most
    layer = len(program.layers[0].octets(0))
    assert counts.load_cycles * link == pytest.approx(counts.loaded_layers * layer, abs=2 * layer)
    busy = counts.load_cycles + counts.compute_cycles - counts.overlap_cycles
    assert busy <= counts.total_cycles < 1.05 * busy


def test_slow_memory(program, expected):
    memory = MemoryModel(latency=30, granule=64, jitter=9, seed=4)
    assert run(program, expected, 3.3, memory).overlap > 0.95
