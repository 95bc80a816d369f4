"""The container: round trip, refusals, and nothing half-written."""

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sw.convert import container
from sw.convert.container import load, pack_nibbles, unpack_nibbles
from sw.errors import UserError
from tests.unit.golden.models import TINY, random_model


@pytest.fixture
def model():
    return random_model(TINY, seed=2)


def test_round_trip(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.config == model.config
    assert again.quantizers == model.quantizers
    assert again.matrices.keys() == model.matrices.keys()
    for name, matrix in model.matrices.items():
        for field in ("codes", "d", "b", "exponent"):
            assert np.array_equal(getattr(again.matrices[name], field), getattr(matrix, field))
    for name, (gamma, fraction) in model.norms.items():
        assert np.array_equal(again.norms[name][0], gamma)
        assert again.norms[name][1] == fraction
    assert np.array_equal(again.rope, model.rope)


def test_same_model_same_bytes(model, tmp_path):
    for name in ("a", "b"):
        model.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("inputs", [1, 2, 31, 64])
def test_nibbles(inputs):
    codes = np.random.default_rng(inputs).integers(-8, 8, (5, inputs), dtype=np.int8)
    assert np.array_equal(unpack_nibbles(pack_nibbles(codes), inputs), codes)


def test_truncated_files_are_refused(model, tmp_path):
    path = tmp_path / "m"
    model.save(path)
    whole = path.read_bytes()
    for size in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="not a Firstspike container, or it is truncated"):
            load(path)


def test_foreign_and_missing_files_are_refused(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(UserError, match="not a Firstspike container"):
        load(tmp_path / "foreign")
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "missing")


def test_other_version_is_refused(model, tmp_path):
    path = tmp_path / "m"
    model.save(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()[container.MAGIC])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["version"] = 99
    save_file(tensors, path, metadata={container.MAGIC: json.dumps(header)})
    with pytest.raises(UserError, match="version 99, this program reads version 1; convert"):
        load(path)


def test_nothing_half_written(model, tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="cannot write .* No space left on device"):
        model.save(path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["m"]


def test_folder_must_exist(model, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        model.save(tmp_path / "nowhere" / "m")
