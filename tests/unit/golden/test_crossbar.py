"""Crossbars: exact where they should be, else equal to a second reader of the text."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.crossbar import PRESETS, Crossbar, Device, UniformConverter
from hw.spec.formats import W4, W8
from hw.spec.mappings import MAPPINGS
from hw.spec.noise import GAUSS_SIGMA
from sw.convert.regroup import regroup_matrix
from sw.golden.codes import encode, from_codes
from sw.golden.crossbar import CrossbarArrays
from sw.golden.crossbar_linear import CrossbarMatrix
from sw.golden.matrix import Matrix
from sw.golden.noise import gauss, sample
from sw.golden.sums import windows
from tests.unit.golden.models import random_matrix
from tests.unit.golden.slow_crossbar import group_sum, threefry

IDEAL = PRESETS["ideal"]

#: Every mapping and way of signs that holds all weights, with a converter of just enough bits.
EXACT = [
    crossbar.with_bits(crossbar.lossless_bits) if limited else crossbar
    for crossbar in (
        IDEAL,
        IDEAL.replace(signs="phases"),
        IDEAL.replace(mapping="offset"),
        IDEAL.replace(mapping="offset", signs="phases"),
        IDEAL.replace(mapping="sliced", signs="phases"),
    )
    for limited in (False, True)
] + [IDEAL.replace(readout="window")]

#: Everything that can be wrong with an array.
WORST = IDEAL.replace(
    off=9,
    programming_sigma=0.3,
    pulses=3,
    tolerance=0.1,
    stuck_low=0.02,
    stuck_high=0.03,
    drift=0.93,
    read_sigma=0.2,
    column_sigma=0.5,
    wire=2e-4,
    seed=0xDEADBEEF,
    converter=UniformConverter(bits=7, step=3 * 256 + 5, value=3, offset=-77, gain=4000),
)

NOISY = [
    PRESETS["matterhorn"],
    PRESETS["matterhorn"].replace(seed=7, readout="window"),
    PRESETS["ye2023"].replace(clip=True),
    WORST,
    WORST.replace(mapping="offset", signs="phases", rows=256),
    WORST.replace(mapping="sliced", signs="phases", readout="window"),
    WORST.replace(mapping="planes", clip=True, signs="paired", rows=256, readout="window"),
]


def _name(crossbar: Crossbar) -> str:
    return f"{crossbar.preset}-{crossbar.mapping}-{crossbar.signs}-{crossbar.readout}"


def _encoded(rng, table, vectors, inputs, m=None):
    x = rng.integers(-32767, 32768, (vectors, inputs)) >> rng.integers(0, 9, inputs)
    return encode(torch.from_numpy(x), table=table, constant=367, silent_level=m)


@pytest.mark.parametrize("crossbar", EXACT, ids=_name)
@pytest.mark.parametrize("table", [t for t in TABLES.values() if t.linear], ids=lambda t: t.name)
@pytest.mark.parametrize("weights", [W4, W8], ids=lambda w: w.name)
def test_ideal_cells_give_the_digital_product(crossbar, table, weights):
    rng = np.random.default_rng(3)
    matrix = Matrix(random_matrix(rng, 5, 77, weights))
    encoded = _encoded(rng, table, 2, 77, 5 if table.masked else None)
    placed = CrossbarMatrix(matrix, crossbar, number=1, lanes=4)
    accumulators, activity = placed.matvec(encoded)
    assert torch.equal(accumulators, matrix.matvec(encoded))
    lines = sum(int((levels != 0).sum()) for levels in windows(encoded))
    assert activity.lines == lines
    factor = len(crossbar.cells.readings)
    assert activity.readings == factor * activity.steps or crossbar.readout == "window"


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("rows", [32, 256])
def test_one_bit_less_is_too_few(mapping, rows):
    """All rows fire at the weight, and of the polarity, whose sum is the largest."""
    crossbar = IDEAL.replace(mapping=mapping, rows=rows, signs="phases")
    if mapping in ("pair", "offset"):
        crossbar = crossbar.replace(signs="paired")
    bits = crossbar.lossless_bits
    limit = crossbar.cells.limit
    held = [-8 if crossbar.cells.holds(-8) else -limit, limit]
    weights = torch.tensor(held).expand(rows, 2)
    sums = {}
    for few in (bits, bits - 1):
        arrays = CrossbarArrays(weights, crossbar.with_bits(few, 1), number=0, lanes=2)
        for code in (1, -1):
            encoded = from_codes(torch.full((1, rows), code), table=TABLES["companded"])
            sums[few, code] = arrays.group_sums(encoded)[0].flatten().tolist()
            assert few < bits or sums[few, code] == [code * rows * w for w in held]
    assert any(sums[bits, code] != sums[bits - 1, code] for code in (1, -1))


@pytest.mark.parametrize("crossbar", NOISY, ids=_name)
def test_second_reader(crossbar):
    rng = np.random.default_rng(5)
    inputs, columns, vectors, lanes = 77, 5, 2, 2
    weights = torch.from_numpy(rng.integers(-8, 8, (inputs, columns)))
    if not crossbar.clip and not crossbar.cells.holds(-8):
        weights = weights.clamp_min(-7)
    encoded = _encoded(rng, TABLES["signed8"], vectors, inputs)
    sums, activity = CrossbarArrays(weights, crossbar, number=6, lanes=lanes).group_sums(encoded)
    assert sums.shape == (-(-inputs // crossbar.rows), vectors, columns)
    size = len(sums) * crossbar.rows
    padded = np.zeros((size, columns), np.int64)
    padded[:inputs] = weights
    levels = np.zeros((2, vectors, size), np.int64)
    for shown, part in zip(levels, windows(encoded), strict=True):
        shown[:, : part[0].numel()] = part.flatten(1)
    counts = [0, 0, 0]
    for array in range(len(sums)):
        rows = slice(array * crossbar.rows, (array + 1) * crossbar.rows)
        for vector in range(vectors):
            for column in range(columns):
                coarse, fine = (list(map(int, part[vector, rows])) for part in levels)
                found, more = group_sum(
                    crossbar, 6, array, column, lanes, padded[rows], coarse, fine
                )
                assert sums[array, vector, column] == found, (array, vector, column)
            counts = [a + b for a, b in zip(counts, more, strict=True)]
    assert list(activity) == counts


def test_generator():
    """The published vector of 20 rounds; then both readers, and the moments of a deviate."""
    assert threefry(0, 0, 0, 0, rounds=20) == (0x6B200159, 0x99BA4EFE)
    counters = torch.arange(-3, 200_000, dtype=torch.int32)
    zero = torch.zeros(1, dtype=torch.int32)
    words = sample(0xC0FFEE00, 0x80000001, zero + 5, counters)
    for place in (0, 1, 2, 3, 77):
        expected = threefry(0xC0FFEE00, 0x80000001, 5, int(counters[place]) & 0xFFFFFFFF)
        assert tuple(int(w[place]) & 0xFFFFFFFF for w in words) == expected
    deviates = gauss(*words).double()
    assert abs(deviates.mean()) < 4 * GAUSS_SIGMA / len(deviates) ** 0.5
    assert abs(deviates.std() / GAUSS_SIGMA - 1) < 0.01
    following = (deviates[1:] * deviates[:-1]).mean() / GAUSS_SIGMA**2
    assert abs(following) < 4 / len(deviates) ** 0.5


def test_results_do_not_depend_on_order_or_company():
    """A vector alone, and a matrix in parts of whole tiles elsewhere, give the same sums."""
    rng = np.random.default_rng(9)
    matrix = Matrix(random_matrix(rng, 6, 64, W4))
    crossbar = PRESETS["matterhorn"]
    encoded = _encoded(rng, TABLES["companded"], 3, 64)
    whole, _ = CrossbarMatrix(matrix, crossbar, number=2, lanes=2).matvec(encoded)
    again = CrossbarMatrix(matrix, crossbar, number=2, lanes=2)
    x = rng.integers(-9, 9, (1, 64))
    again.matvec(encode(torch.from_numpy(x), table=TABLES["ttfs"], constant=367))
    assert torch.equal(again.matvec(encoded)[0], whole)
    other, _ = CrossbarMatrix(matrix, crossbar.replace(seed=1), number=2, lanes=2).matvec(encoded)
    moved, _ = CrossbarMatrix(matrix, crossbar, number=3, lanes=2).matvec(encoded)
    assert (other != whole).any() and (moved != whole).any()


def test_write_and_verify_narrows_the_error():
    weights = torch.full((256, 16), 5)
    device = Device(programming_sigma=0.5, pulses=4, tolerance=0.25)
    once = IDEAL.replace(device=device, pulses=1, rows=256)
    errors = {}
    for crossbar in (once, once.replace(pulses=4)):
        arrays = CrossbarArrays(weights, crossbar, number=0, lanes=16)
        (_, lines), *_ = arrays._lines[0]
        errors[crossbar.device.pulses] = (lines[0, 0] - 5 * 256).std() / 256
        assert arrays.pulses >= 256 * 16 * 4  # two cells on each of two lines
    assert errors[1] > 0.4 and errors[4] < 0.6 * errors[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mapping": "triple"},
            "mapping must be one of pair, offset, sliced, planes, not 'triple'",
        ),
        ({"mapping": "sliced"}, "has no cells for the negative of every weight; choose signs"),
        ({"rows": 64}, "rows must be one of 32, 256, not 64"),
        ({"seed": 1 << 32}, "seed must be 0..4294967295"),
        ({"stuck_low": 2.0}, r"stuck_low must be 0..0.5, not 2.0"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        IDEAL.replace(**changes)


def test_transfer_law_of_ye2023():
    """Code by code over the whole range of inputs, from the law with the published currents."""
    preset = PRESETS["ye2023"].replace(programming_sigma=0.0, read_sigma=0.0)
    unit, off, step = 256, 15, 14 * 256  # 0.50 uA; 30 nA; 7 uA
    weights = torch.arange(8).expand(32, 8)
    arrays = CrossbarArrays(weights, preset, number=0, lanes=8)
    codes = set()
    for raised in range(33):
        x = torch.zeros(1, 32, dtype=torch.int64)
        x[0, :raised] = 1
        sums, _ = arrays.group_sums(from_codes(x, table=TABLES["companded"]))
        for weight in range(8):
            m, a = raised * weight, raised
            code = min((unit * m + off * (7 * a - m)) // step, 15)
            leak = min(off * 7 * a // step, 15)  # the column of negative weights
            assert int(sums[0, 0, weight]) == 14 * (code - leak)
            codes.add(code)
    assert codes == set(range(16))


def test_weights_that_cells_cannot_hold():
    weights = torch.tensor([[-8], [7], [-8]])
    with pytest.raises(ValueError, match=r"'planes' cannot hold 2 weights of -8; choose another"):
        CrossbarArrays(weights, PRESETS["ye2023"], number=0, lanes=1)
    CrossbarArrays(weights, PRESETS["ye2023"].replace(clip=True), number=0, lanes=1)


@pytest.mark.parametrize("weights", [W4, W8], ids=lambda w: w.name)
@pytest.mark.parametrize("inputs", [77, 256, 300])
def test_whole_columns(weights, inputs):
    """Arrays of 256 rows: one scale for all, and the product of the digital model."""
    rng = np.random.default_rng(inputs)
    matrix = Matrix(regroup_matrix(random_matrix(rng, 5, inputs, weights), 256))
    x = torch.from_numpy(rng.integers(-32767, 32768, (2, inputs)) >> rng.integers(0, 9, inputs))
    encoded = encode(x, table=TABLES["companded"], constant=367, shared=8)
    assert all((part == part[:, :1]).all() for part in encoded.scales.split(8, 1))
    crossbar = IDEAL.replace(rows=256).with_bits(13)
    accumulators, activity = CrossbarMatrix(matrix, crossbar, number=0, lanes=4).matvec(encoded)
    assert torch.equal(accumulators, matrix.matvec(encoded))
    alone = IDEAL.replace(rows=32)
    assert (
        activity.steps < CrossbarMatrix(matrix, alone, number=0, lanes=4).matvec(encoded)[1].steps
    )


def test_regrouped_weights_are_near():
    rng = np.random.default_rng(2)
    matrix = random_matrix(rng, 6, 300, W8)
    near = regroup_matrix(matrix, 256)
    before, after = Matrix(matrix).values, Matrix(near).values
    scale = 2.0 ** (near.exponent - matrix.exponent)[:, None]
    assert regroup_matrix(near, 256) is near and regroup_matrix(matrix, 32) is matrix
    error = (after * torch.from_numpy(scale) - before).abs().amax()
    assert error <= 0.012 * before.abs().amax()


def test_rows_of_an_array_need_one_scale():
    rng = np.random.default_rng(1)
    matrix = Matrix(random_matrix(rng, 2, 64, W4))
    with pytest.raises(ValueError, match="the 256 rows of an array must share one scale"):
        CrossbarMatrix(matrix, IDEAL.replace(rows=256), number=0, lanes=2)
