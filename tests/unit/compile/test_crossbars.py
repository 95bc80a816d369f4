"""Placement on macros, files of conductances, and the refusals of the commands."""

import pytest
import torch

from hw.spec.crossbar import PRESETS
from sw import cli
from sw.commands.crossbar import command
from sw.compile.crossbars import load_conductances, place, save_conductances
from sw.crossbar import choose_crossbar
from sw.errors import UserError
from sw.opening import open_model, open_params

IDEAL = PRESETS["ideal"]


@pytest.fixture(scope="module")
def model():
    return open_model(None)


def test_placement(model):
    placed = {p.name: p for p in place(model, PRESETS["matterhorn"])}
    down = placed["layers.0.ffn_down"]
    assert (down.inputs, down.columns, down.slices, down.levels, down.beyond) == (192, 64, 4, 2, 0)
    assert (down.macros, down.utilization) == (1, 0.75)
    assert placed["head"].macros == 1024 // 64
    assert sum(p.beyond for p in place(model, PRESETS["ye2023"])) > 1000


def test_conductances_come_back(model, tmp_path):
    path = tmp_path / "cells"
    cells = {"head": {"0.0": torch.arange(6, dtype=torch.int32).view(2, 3) + 4000}}
    save_conductances(path, cells, model, IDEAL)
    assert torch.equal(load_conductances(path, model, IDEAL)["head"]["0.0"], cells["head"]["0.0"])
    with pytest.raises(UserError, match="conductances of mapping 'pair' with signs 'paired'"):
        load_conductances(path, model, IDEAL.replace(mapping="offset"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="holds no conductances, or it is truncated"):
        load_conductances(path, model, IDEAL)
    with pytest.raises(UserError, match="there is no such file"):
        load_conductances(tmp_path / "none", model, IDEAL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("memory", "ideal"), "the options of devices are for crossbars; add --synapse crossbar"),
        (("crossbar", "foo"), "--device must be one of ideal, matterhorn, ye2023, not 'foo'"),
        (("disk", None), "--synapse must be one of memory, crossbar, not 'disk'"),
    ],
)
def test_choices_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message):
        choose_crossbar(*arguments)
    assert choose_crossbar("memory", None) is None
    chosen = choose_crossbar("crossbar", None, adc_bits=8, read_sigma=0.1)
    assert chosen.converter.bits == 8 and chosen.device.read_sigma == 0.1


def test_refusals_of_configurations_and_weights():
    with pytest.raises(UserError, match="multiplies static weights only, one vector at a time"):
        open_params("mac8-token", crossbar=IDEAL)
    with pytest.raises(UserError, match="choose integrator 'spike', not 'mac'"):
        open_params("mac8", "mac", IDEAL)
    with pytest.raises(UserError, match=r"'planes' cannot hold \d+ weights of -8"):
        command("map", device="ye2023")
    with pytest.raises(UserError, match="say what to do: map, export, check, energy, not 'sing'"):
        command("sing")


def test_a_range_that_clips_is_refused():
    with pytest.raises(UserError, match=r"range clips \d+.\d% of the conversions of layers"):
        command("map", device="ideal", adc_bits=3, max_clipping=-1.0)
    assert "crossbar" in cli.COMMANDS
