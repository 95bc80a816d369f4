"""Device images: which matrices have row sums, and what a file keeps of that."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from hw.spec.formats import IMAGE_VERSION, W8
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import MAGIC, compile_model, load_image
from sw.convert.container import Quantizer
from sw.errors import UserError
from sw.golden.linear import input_site
from tests.unit.golden.models import TINY, random_model

PARAMS = CoreParams(CoreConfig(lanes=6))


@pytest.fixture(scope="module")
def model():
    """One tensor of layer 0 has a silent level that does not stand for 0."""
    plain = random_model(TINY, seed=3)
    quantizers = {tensor: dict(tables) for tensor, tables in plain.quantizers.items()}
    quantizers["layers.0.ffn_gate"]["mttfs"] = Quantizer(constant=9, threshold=4, silent_level=7)
    return dataclasses.replace(plain, quantizers=quantizers)


@pytest.mark.parametrize("table", ["companded", "mttfs", "ttfs", None])
def test_row_sums_where_the_table_needs_them(model, table):
    image = compile_model(model, PARAMS, name="six", table=table)
    assert image.table == (table or model.table)
    with_sums = {name for name, matrix in image.matrices.items() if matrix.sums}
    if table == "mttfs":
        assert with_sums == {"layers.0.gate_up"}
        assert input_site("layers.0.gate_up") == "layers.0.ffn_gate"
    else:
        assert with_sums == (set(image.matrices) if table == "ttfs" else set())
    for matrix in image.matrices.values():
        head = (1 if matrix.format is W8 else 4) + 4 * matrix.sums
        assert matrix.words.shape[2] == matrix.group_beats == head + 32


def test_file_keeps_everything(model, tmp_path):
    image = compile_model(model, PARAMS, name="six", table="mttfs")
    image.save(tmp_path / "image")
    again = load_image(tmp_path / "image")
    for field in ("name", "source", "configuration", "table"):
        assert getattr(again, field) == getattr(image, field)
    for name, matrix in image.matrices.items():
        other = again.matrices[name]
        assert (other.format, other.rows, other.inputs) == (
            matrix.format,
            matrix.rows,
            matrix.inputs,
        )
        assert other.sums == matrix.sums and np.array_equal(other.words, matrix.words)


def test_older_layouts_are_refused(tmp_path):
    header = {"version": IMAGE_VERSION - 1, "matrices": {}}
    path = tmp_path / "old"
    save_file({"x": np.zeros(1, np.uint32)}, path, metadata={MAGIC: json.dumps(header)})
    with pytest.raises(UserError, match=f"image layout {IMAGE_VERSION - 1}.*compile.*again"):
        load_image(path)
