"""The page of areas, from made-up cells."""

from collections import Counter

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth import tools
from hw.synth.ecp5 import Placement, Step
from tools import area, area_job, area_page


def test_instances_become_rows():
    cells = {
        "": Counter(LUT4=1),
        "bus": Counter(LUT4=2),
        "inputs$236": Counter(LUT4=3),
        "synapse": Counter(LUT4=4),
        "synapse.ring.beats.ram": Counter(DP16KD=5),
        "synapse.ring$7": Counter(LUT4=6),
        "lanes": Counter(TRELLIS_FF=7),
    }
    assert area_job.rows(cells) == {
        "rest": Counter(LUT4=1),
        "bus, registers": Counter(LUT4=5),
        "lanes": Counter(TRELLIS_FF=7),
        "synapse": Counter(LUT4=4),
        "synapse.ring": Counter(LUT4=6, DP16KD=5),
    }


def test_page(tmp_path):
    cells = {"lanes": Counter(LUT4=320, CCU2C=40, TRELLIS_FF=512, MULT18X18D=8), "rest": Counter()}
    cores = [area_job.Job(kind, 16, cells=cells) for kind in ("spike", "dense")]
    path = [
        Step("clk-to-q", 0.5, "core.matrix.engine.a_TRELLIS_FF_Q_3"),
        Step("logic", 0.25, "core.token$7.vectors.b.d_LUT4_Z"),
        Step("routing", 7.0, "core.token$7.vectors.b.c_LUT4_Z_DI"),
    ]
    used = {"TRELLIS_COMB": 1234}
    cores[0].placement = Placement({"clk": 101.25}, path, used, {"TRELLIS_COMB": 83640})
    cores[0].path = ["engine", "encoder.memory"]
    cores[0].seeds, cores[0].clocks = [2, 5], [98.76, 101.25]
    cores[0].faster = [111.1, 122.22]
    sites = {"TRELLIS_COMB": 50, "TRELLIS_FF": 7, "MULT18X18D": 20, "DP16KD": 99}
    token = area_job.Job("mac", 32, tokens=True, cells=cells)
    token.placement = Placement({"clk": 99.0}, path, sites, dict.fromkeys(sites, 100))
    cores.append(token)
    for core in cores:
        core.measured = f"with {core.kind}"
        core.save(tmp_path)
    kept = [area_job.Job(core.kind, core.lanes, tokens=core.tokens) for core in cores]
    assert all(core.load(tmp_path) for core in kept) and kept == cores
    assert not area_job.Job("mac", 64).load(tmp_path)
    text = area_page.page(kept, frequency=110)
    assert (
        "| `spike16` | 320 | 40 | 512 | 8 | 0 | 0 | 400 | 1.00 | 25 | 25.0 | 32.0 | 0.5 |" in text
    )
    clock = (
        "| `spike16` | 101.2 MHz | 2: 98.8, 5: 101.2 | 111.1 | 122.2 | 7.8 ns | 7.0 ns | 1 "
        "| `engine` → `encoder.memory` | `engine.a` to `vectors.b.c` | 1,234 of 83,640 |"
    )
    assert clock in text
    device = "| `mac32-token` | 50 (50%) | 7 (7%) | 20 (20%) | 99 (99%) |"
    assert device in text
    assert "| `spike16` | with spike |" in text


def test_cores_can_be_built():
    for lanes in area.WIDTHS:
        for integrator in area.KINDS.values():
            params = CoreParams(area.config(integrator, lanes))
            assert params.memory_beats * params.beat_bits == 128 << 23
    names = [job.name for job in area.cores()]
    assert {"mac16-token", "spike32-token"} < set(names) and len(set(names)) == len(names)
    assert all(CoreParams(CONFIGS[job.name]).vector_words for job in area.cores() if job.tokens)


def test_missing_tools_are_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    assert area.main([]) == 2
    assert capsys.readouterr().err.startswith("pyosys is missing; install it with: ")
