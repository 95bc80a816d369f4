"""The bundled model on Verilated cores, bit for bit."""

import functools
import json
import sys

import pytest

from hw.spec.codes import TABLES
from hw.spec.params import INTEGRATORS
from sw import cli
from sw.commands.demo import compare
from sw.commands.generate import generate_run
from sw.compile.image import compile_model
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.fault import KINDS, FaultInjector
from sw.generate import STALLS
from sw.opening import golden_model, open_model, open_params, open_transport
from sw.verify import ComparingLinear, MismatchError

pytestmark = pytest.mark.rtl


class Bench:
    """A core that runs, and the bundled model."""

    def __init__(self, config: str):
        self.config, self.params, self.model = config, open_params(config), open_model(None)
        self.transport = open_transport(self.params)

    @functools.cache  # noqa: B019 - one bench a module
    def image(self, table: str):
        """Device image for a code table."""
        return compile_model(self.model, self.params, name=self.config, table=table)

    def compare(self, table: str = "companded", injector_seed: int | None = None):
        """Golden model whose every multiplication is compared, on a freshly loaded device."""
        device = Device(self.transport, self.params)
        device.load(self.image(table))
        linear = DeviceLinear(device, self.model, table=table)
        golden = golden_model(self.model, table=table, params=self.params)
        comparing = ComparingLinear(golden.golden, linear)
        golden.linear = comparing
        if injector_seed is not None:
            calls = 4 * self.model.config.layers + 1
            comparing.before = FaultInjector(golden.golden, linear, calls=calls, seed=injector_seed)
        return golden, comparing


@pytest.fixture(scope="module", params=INTEGRATORS)
def bench(request):
    bench = Bench(f"{request.param}8")
    yield bench
    bench.transport.close()


def test_generated_tokens_and_counters_are_equal():
    runs = {
        backend: generate_run(None, prompt="It was", tokens=9, backend=backend, config="mac8")
        for backend in ("rtl", "golden")
    }
    assert compare(runs["rtl"], runs["golden"]) == []
    assert runs["rtl"].text == runs["golden"].text
    assert runs["rtl"].counters["cycles"] > runs["rtl"].counters["beats_read"] > 0
    assert runs["rtl"].counters["stalls"]["scaler"] >= 0
    runs["golden"].tokens[3] += 1
    runs["golden"].counters["spikes"] += 1
    differences = compare(runs["rtl"], runs["golden"])
    assert len(differences) == 2 and "tokens differ first at 3" in differences[0]


@pytest.mark.parametrize("table", [t.name for t in TABLES.values() if t.linear])
def test_every_accumulator_of_every_table(bench, table):
    golden, comparing = bench.compare(table)
    for token in (70, 0, 511):
        golden.step(token)
    assert comparing.calls == 3 * (4 * bench.model.config.layers + 1)


def test_streaming_through_a_small_memory():
    bench = Bench("mac8-small")
    golden, comparing = bench.compare()
    for token in (5, 300):
        golden.step(token)
    device = comparing.device.device
    words = sum(matrix.words.size for matrix in bench.image("companded").matrices.values())
    assert device.loaded_words == 2 * words
    bench.transport.close()


@pytest.mark.parametrize("seed", range(24))
def test_every_fault_is_found_and_named(bench, seed):
    golden, comparing = bench.compare(injector_seed=seed)
    with pytest.raises(MismatchError) as found:
        golden.step(70)
    fault, difference = comparing.before.fault, found.value.difference
    assert (difference.matrix, difference.element) == (fault.matrix, fault.element)
    assert difference.token == 0 and difference.quantity == "accumulator"
    layout = bench.model.matrices.get(fault.matrix, bench.model.head).format
    assert difference.tile == fault.element // layout.outputs(bench.params.lanes)


def test_faults_of_every_kind_are_planted(bench):
    kinds = set()
    for seed in range(24):
        golden, comparing = bench.compare(injector_seed=seed)
        with pytest.raises(MismatchError):
            golden.step(70)
        kinds.add(comparing.before.fault.kind)
    assert kinds == set(KINDS)


def test_core_is_right_after_a_fault(bench):
    golden, _ = bench.compare(injector_seed=3)
    with pytest.raises(MismatchError):
        golden.step(70)
    golden, comparing = bench.compare()
    golden.step(70)
    assert comparing.calls == 4 * bench.model.config.layers + 1


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["firstspike", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, capsys.readouterr()


def test_verify_command(monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, "verify", "--tokens", "2", "--prompt", "He")
    assert code == 0 and "equal to the golden model" in printed.out
    assert "0 mismatches" in printed.out
    text = "tests/data/persuasion_excerpt.txt"
    code, printed = run(monkeypatch, capsys, "verify", "--text", text, "--tokens", "2")
    assert code == 0 and "equal to the golden model: 42 multiplications" in printed.out
    code, printed = run(
        monkeypatch, capsys, "verify", "--text", text, "--tokens", "1", "--layer", "2"
    )
    assert code == 0 and "equal to the golden model: 4 multiplications" in printed.out


def test_verify_command_names_a_fault_and_dumps_its_waveform(monkeypatch, capsys, tmp_path):
    trace = tmp_path / "fault.fst"
    code, printed = run(monkeypatch, capsys, "verify", "--inject-fault", "2", "--trace", str(trace))
    assert code == 1
    assert "rtl differs from golden first at token 0, " in printed.out
    assert "expected" in printed.out and "injected: bit" in printed.out
    assert trace.stat().st_size > 1000


def test_json_of_hardware(monkeypatch, capsys):
    code, printed = run(
        monkeypatch, capsys, "generate", "--backend", "rtl", "--tokens", "1", "--json", "-"
    )
    counters = json.loads(printed.out)["counters"]
    assert code == 0 and counters["cycles"] > 0 and counters["stalls"].keys() == STALLS.keys()
