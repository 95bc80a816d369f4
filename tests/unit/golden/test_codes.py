"""The vectorised encoder against the scalar functions of ``hw.spec``, element by element."""

import numpy as np
import pytest
import torch

from hw.spec import scales
from hw.spec.codes import TABLES
from sw.golden.classify import CodeClass, classify
from sw.golden.codes import encode, from_codes
from tests.unit.golden.reference import slow_encode

LINEAR = [table for table in TABLES.values() if table.linear]
ALL = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)


def random_inputs(seed, vectors, inputs):
    """Vectors with outliers, quiet and zero blocks, and the largest inputs."""
    rng = np.random.default_rng(seed)
    loudness = 2 ** rng.uniform(-3, 15, (vectors, -(-inputs // 32), 1))
    x = rng.standard_t(3, (vectors, loudness.shape[1], 32)) * loudness
    x[rng.random(x.shape[:2]) < 0.1] = 0
    x = x.reshape(vectors, -1)[:, :inputs].clip(-32767, 32767).astype(np.int64)
    x[0] = 0
    x[1] = rng.choice([-32767, 32767], inputs)
    x[2, 1:] = 0
    return x


@ALL
@pytest.mark.parametrize("constant, theta", [(1, 4), (367, 4), (843, 11), (4095, 0), (60, 44)])
def test_encode_equals_scalar_reference(table, constant, theta):
    x = random_inputs(constant, 9, 77)
    m = 5 if table.masked else table.silent_level
    encoded = encode(
        torch.from_numpy(x), table=table, constant=constant, threshold=theta, silent_level=m
    )
    for i, vector in enumerate(x.tolist()):
        decoded, classes, relative, base, sums = slow_encode(vector, table, constant, theta, m)
        assert encoded.decoded[i].tolist() == decoded
        assert encoded.classes[i].tolist() == classes
        assert encoded.scales[i].tolist() == relative
        assert encoded.base[i].item() == base
        assert encoded.code_sums[i].tolist() == sums


@ALL
def test_vectors_are_independent(table):
    x = torch.from_numpy(random_inputs(3, 12, 65)).view(3, 4, 65)
    together = encode(x, table=table, constant=367)
    for i in range(3):
        for j in range(4):
            alone = encode(x[i, j], table=table, constant=367)
            assert torch.equal(alone.decoded, together.decoded[i, j])
            assert torch.equal(alone.classes, together.classes[i, j])
            assert torch.equal(alone.scaled, together.scaled[i, j])
            assert torch.equal(alone.base, together.base[i, j])


@ALL
def test_codes_stay_in_their_bounds(table):
    encoded = encode(torch.from_numpy(random_inputs(8, 50, 96)), table=table, constant=29)
    assert encoded.decoded.abs().max() <= 128
    assert encoded.scales.min() >= 4 and encoded.scales.max() <= scales.LARGEST_RELATIVE_SCALE


@ALL
def test_classes_partition_the_quotients(table):
    m = table.silent_level
    for quotient in range(-1016, 1017):
        kwargs = {"table": table, "threshold": 4, "silent_level": m}
        decoded, kind = classify(quotient, **kwargs)
        level = decoded + table.zero
        if kind == CodeClass.SPIKE:
            assert (abs(level) if table.polarity else level) in table.ladder and level != m
        if kind == CodeClass.SILENT:
            assert level == m


@pytest.mark.parametrize("m", range(16))
def test_silent_level_and_dead_zone(m):
    table = TABLES["mttfs"]
    for dead_zone in range(3):
        kwargs = {"table": table, "threshold": 8 * dead_zone + 4, "silent_level": m}
        for level in range(-20, 36):
            decoded, kind = classify(8 * (level - 8), **kwargs)
            silent = abs(level - m) <= dead_zone
            assert (kind == CodeClass.SILENT) == silent
            assert decoded == (m if silent else level) - 8


def test_companded_integers_begin_at_twenty():
    table = TABLES["companded"]
    kwargs = {"table": table, "threshold": 4, "silent_level": 0}
    assert classify(159, **kwargs) == (19, CodeClass.SPIKE)
    assert classify(-160, **kwargs) == (-20, CodeClass.INTEGER)


@pytest.mark.parametrize(
    "table", [t for t in TABLES.values() if not t.zero], ids=lambda table: table.name
)
def test_from_codes(table):
    x = torch.arange(-255, 256)
    encoded = from_codes(x, table=table)
    assert torch.equal(encoded.scaled, 4 * x)
    assert encoded.base.item() == 0
    classes = encoded.classes.flatten().tolist()
    for value, kind in zip(x.tolist(), classes[:511], strict=True):
        level = value if not table.polarity else abs(value)
        expected = CodeClass.SPIKE if level in table.ladder else CodeClass.INTEGER
        assert kind == (expected if value else CodeClass.SILENT)
    assert classes[511:] == [CodeClass.PADDING]


def test_refusals():
    x = torch.tensor([1, 2])
    companded = TABLES["companded"]
    with pytest.raises(ValueError, match="at most 32767, got 32768: normalize"):
        encode(torch.tensor([32768]), table=companded, constant=1)
    with pytest.raises(ValueError, match="scale constant of 1..4095, got 4096"):
        encode(x, table=companded, constant=4096)
    with pytest.raises(ValueError, match="'companded' must be 0, not 3"):
        encode(x, table=companded, constant=1, silent_level=3)
    with pytest.raises(ValueError, match="'mttfs' must be 0..15, not 16"):
        encode(x, table=TABLES["mttfs"], constant=1, silent_level=16)
    with pytest.raises(ValueError, match="zero level 0, not 'ttfs'"):
        from_codes(x, table=TABLES["ttfs"])
    with pytest.raises(ValueError, match="at most 255, got 256"):
        from_codes(torch.tensor([-256]), table=companded)
