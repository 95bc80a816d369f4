"""Container and device image, read by the rules of `docs/container.md` and nothing else."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from hw.spec.configs import CONFIGS
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import DeviceImage, pack_matrix
from tests.unit.golden.models import TINY, random_matrix, random_model

DTYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "U32": "<u4"}


def read(path, key):
    """Header and tensors of an envelope."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8:start])
    header = json.loads(tensors.pop("__metadata__")[key])
    arrays = {}
    for name, entry in tensors.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[start + begin : start + end], DTYPES[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"])
    return header, arrays


def signed(value, bits):
    return value - (1 << bits) if value >> bits - 1 else value


def test_container(tmp_path):
    model = random_model(TINY, seed=3)
    model.save(tmp_path / "model")
    header, tensors = read(tmp_path / "model", "firstspike model")
    assert header["version"] == 1
    assert header["config"]["ffn_width"] == 70
    assert tensors["rope"].shape == (75, 5, 2)
    assert set(header["norms"]) == {"output_norm"} | {
        f"layers.{n}.{norm}" for n in (0, 1) for norm in ("attn_norm", "ffn_norm")
    }
    assert set(header["quantizers"]) == {"head"} | {
        f"layers.{n}.{tensor}"
        for n in (0, 1)
        for tensor in "attn_q attn_output ffn_gate ffn_down query probability".split()
    }
    constant, theta, m = header["quantizers"]["layers.1.ffn_down"]["mttfs"]
    assert 1 <= constant <= 4095 and (theta, m) == (4, 8)
    for name, (kind, rows, inputs) in header["matrices"].items():
        codes = tensors[f"{name}.codes"]
        if kind == "w4":
            codes = [
                [signed(int(row[i // 2]) >> i % 2 * 4 & 15, 4) for i in range(inputs)]
                for row in codes
            ]
        matrix = model.matrices[name]
        assert np.array_equal(codes, matrix.codes) and matrix.codes.shape == (rows, inputs)
        for field in ("d", "b", "exponent"):
            assert np.array_equal(tensors[f"{name}.{field}"], getattr(matrix, field))


@pytest.mark.parametrize("sums", [False, True], ids=["", "sums"])
@pytest.mark.parametrize(
    ("layout", "lanes", "parts"),
    [(W4, 1, 1), (W4, 5, 1), (W4, 12, 1), (W8, 2, 1), (W8, 10, 1), (W4, 3, 4), (W8, 4, 2)],
)
def test_image(tmp_path, layout, lanes, parts, sums):
    rows, inputs = 17, 77
    matrix = random_matrix(np.random.default_rng(lanes), rows, inputs, layout)
    packed = {"head": pack_matrix(matrix, lanes, parts=parts, sums=sums)}
    image = DeviceImage(name="n", source={}, configuration="0" * 16, table="mttfs", matrices=packed)
    image.save(tmp_path / "image")
    header, tensors = read(tmp_path / "image", "firstspike image")
    assert header["matrices"] == {"head": [layout.name, rows, inputs]}
    assert header["table"] == "mttfs" and header["row_sums"] == ["head"] * sums
    wide = layout is W8
    outputs = lanes // 2 if wide else lanes
    scale_beats = 1 if wide else 4
    head_beats = scale_beats + 4 * sums
    groups = -(-inputs // 32)
    words = tensors["head"]
    tiles = -(-rows // (outputs * parts))
    assert words.shape == (tiles, groups, parts * (head_beats + 32), -(-lanes // 8))

    codes = np.zeros((tiles * parts * outputs, groups * 32), int)
    d, b = np.zeros((2, len(codes), groups), int)
    for tile, group in np.ndindex(tiles * parts, groups):
        whole, part = words[tile // parts, group], tile % parts
        heads, rest = whole[: parts * head_beats], whole[parts * head_beats :]
        own = [*heads[part * head_beats :][:head_beats], *rest[part::parts]]
        beats = [[int(beat[n // 8]) >> n % 8 * 4 & 15 for n in range(lanes)] for beat in own]
        scales = [nibble for beat in beats[:scale_beats] for nibble in beat]
        real = beats[head_beats:][: inputs - 32 * group]
        for lane in range(lanes * sums):
            digits = [nibble for beat in beats[scale_beats:head_beats] for nibble in beat]
            row_sum = signed(sum(digits[4 * lane + i] << 4 * i for i in range(4)), 16)
            assert row_sum == sum(signed(row[lane], 4) for row in real)
        for n in range(outputs):
            output = tile * outputs + n
            d[output, group] = signed(scales[2 * n] + 16 * scales[2 * n + 1], 8)
            if not wide:
                at = 2 * (lanes + n)
                b[output, group] = signed(scales[at] + 16 * scales[at + 1], 8)
            for i, row in enumerate(beats[head_beats:]):
                if wide:
                    code = 16 * signed(row[2 * n + 1], 4) + signed(row[2 * n], 4) + 8
                else:
                    code = signed(row[n], 4)
                codes[output, 32 * group + i] = code
    assert np.array_equal(codes[:rows, :inputs], matrix.codes)
    assert np.array_equal(d[:rows], matrix.d) and not d[rows:].any()
    assert np.array_equal(b[:rows], matrix.b) and not b[rows:].any()
    assert wide or not (codes[rows:].any() or codes[:, inputs:].any())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_configuration_hash(config: CoreConfig):
    names = "lanes tile_lanes memory_beats max_inputs max_outputs integrator memory"
    names += " axi_data_width axi_id_width outstanding ring_groups hole"
    names += " vector_words vector_width best"
    names += " batch" if config.batch > 1 else ""
    names += " encoder" if config.encoder else ""
    fields = {"specification": "1.3"} | {name: getattr(config, name) for name in names.split()}
    text = json.dumps(fields, sort_keys=True, separators=(", ", ": "))
    digest = hashlib.sha256(text.encode()).digest()
    assert CoreParams(config).hash == int.from_bytes(digest[:8], "little")
