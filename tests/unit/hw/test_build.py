"""The builder: same bytes everywhere, a complete manifest, clear refusals."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hw.build import TOP, generate, main
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import registers_of

ROOT = Path(__file__).parents[3]
SMALL = "mac8-small"


def _build(folder: Path, name: str = SMALL) -> dict[str, bytes]:
    """Run the command in ``folder`` itself, as its own process."""
    command = [sys.executable, "-m", "hw.build", "--config", name, "--out", "."]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "random"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return _build(tmp_path_factory.mktemp("first"))


def test_same_bytes_from_any_folder(built, tmp_path):
    assert set(built) == {f"{SMALL}.v", f"{SMALL}.json"}
    assert _build(tmp_path) == built


def test_nothing_of_this_machine_in_the_files(built):
    text = b"".join(built.values()).decode()
    assert str(ROOT) not in text
    assert not re.search(r"\.py\b|/home/|/tmp/|/usr/", text)


def test_manifest(built):
    manifest = json.loads(built[f"{SMALL}.json"])
    params = CoreParams(CONFIGS[SMALL])
    assert manifest["name"] == SMALL
    assert manifest["top"] == TOP
    assert int(manifest["hash"], 16) == params.hash
    assert manifest["configuration"] == params.describe()
    addresses = {r["name"]: r["address"] for r in manifest["registers"]}
    assert addresses == {name: r.address for name, r in registers_of(crossbar=False).items()}
    mode = next(r for r in manifest["registers"] if r["name"] == "mode")
    assert mode["access"] == "RW"
    assert [f["name"] for f in mode["fields"]] == [
        *("table", "format", "codes", "sums", "fixed", "vector", "encode")
    ]


def test_ports_are_those_of_the_verilog(built):
    text = built[f"{SMALL}.v"].decode()
    module = text[text.index(f"module {TOP}(") :].split("endmodule")[0]
    declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", module, re.MULTILINE)
    ports = {(d, name, int(high or 0) + 1) for d, high, name in declared}
    manifest = json.loads(built[f"{SMALL}.json"])
    assert ports == {(p["direction"], p["name"], p["width"]) for p in manifest["ports"]}
    names = {name for _, name, _ in ports}
    assert {"clk", "rst", "s_axil_awvalid", "s_axil_wstrb", "s_axil_rresp"} <= names


def test_integrator_is_the_user_s_choice(tmp_path, capsys):
    assert main(["--config", SMALL, "--integrator", "spike", "--out", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / f"{SMALL}.json").read_bytes())
    params = CoreParams(CONFIGS[SMALL].replace(integrator="spike"))
    assert manifest["configuration"] == params.describe()
    assert int(manifest["hash"], 16) == params.hash != CoreParams(CONFIGS[SMALL]).hash


def test_depth_costs_no_text():
    """Synapse memory has no contents to list, however deep it is."""
    texts = [
        generate(CoreParams(CoreConfig(lanes=2, memory_beats=beats, max_inputs=64, max_outputs=2)))
        for beats in (36, 1 << 20)
    ]
    assert abs(len(texts[0][0]) - len(texts[1][0])) < 2000


def test_list(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CONFIGS)
    assert "8 mac lanes, 262,144 bytes of memory on chip, 1536 inputs, 1024 outputs" in lines[0]
    assert (
        "bytes of memory outside, 256 inputs, 512 outputs, runs tokens; fits ulx3s-85f, ecpix5-85f"
        in str(lines)
    )
    assert sum("; fits " in line for line in lines) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "mac9", "--out", "x"], "There is no configuration 'mac9'; choose mac8, "),
        (["--integrator", "lif"], "There is no integrator 'lif'; choose mac or spike."),
        ([], "Name a folder for the generated files with --out."),
        (["--config", SMALL, "--out", "/dev/null/x"], "Cannot write to /dev/null/x: "),
    ],
)
def test_refused(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
