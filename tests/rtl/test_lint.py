"""Generated Verilog passes Verilator's lint with the waivers that ``sim/lint.vlt`` explains."""

import subprocess
from pathlib import Path

import pytest

from hw.build import TOP, generate
from hw.spec.configs import CONFIGS
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from sim.verilator import environment
from tools.docs_interface import EXAMPLES, instantiation_page

pytestmark = pytest.mark.rtl

WAIVERS = Path(__file__).parents[2] / "sim" / "lint.vlt"


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("lanes", [1, 3, 20, 64])
def test_lint(lanes, integrator, tmp_path):
    _lint(
        CoreConfig(lanes=lanes, max_inputs=96, max_outputs=3 * lanes, integrator=integrator),
        tmp_path,
    )


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("width", [32, 64, 256])
def test_lint_with_external_memory(width, integrator, tmp_path):
    """The bus is narrower than a beat, as wide, or wider."""
    config = CoreConfig(lanes=16, tile_lanes=64, memory="axi", integrator=integrator)
    _lint(config.replace(axi_data_width=width), tmp_path)


@pytest.mark.parametrize(
    ("lanes", "width", "batch", "encoder"), [(8, 4, 1, False), (32, 8, 3, False), (8, 2, 1, True)]
)
def test_lint_with_token_unit(lanes, width, batch, encoder, tmp_path):
    words = {"vector_words": 1024, "vector_width": width, "batch": batch}
    config = CoreConfig(lanes=lanes, tile_lanes=2 * lanes, memory="axi", **words)
    _lint(config.replace(encoder=encoder), tmp_path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_instantiation_template(name, tmp_path):
    """The documented template fits the core: no port is missing, unknown or of another width."""
    page = instantiation_page()
    template = page.split(f"`{name}`\n\n```verilog\n")[1].split("```")[0]
    text, manifest = generate(CoreParams(CONFIGS[name]))
    wires = "".join(f"wire [{p['width'] - 1}:0] {p['name']};\n" for p in manifest["ports"])
    source = tmp_path / "design.v"
    source.write_text(f"module top;\n{wires}{template}endmodule\n{text}")
    flags = ["-Werror-PINMISSING", "-Werror-PINNOTFOUND", "-Werror-WIDTH", "-Wno-MULTITOP"]
    command = ["verilator", "--lint-only", *flags, "--top-module", "top", str(WAIVERS)]
    done = subprocess.run([*command, source], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _lint(config, tmp_path):
    params = CoreParams(config)
    source = tmp_path / "core.v"
    source.write_text(generate(params)[0])
    command = ["verilator", "--lint-only", "-Wall", "--top-module", TOP, str(WAIVERS), str(source)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stdout + done.stderr
