"""Spikes in time, multiply-accumulate and plain products give the same integers."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded
from sw.golden.paper_window import group_sums_window
from sw.golden.sums import Event, events, group_sums, group_sums_events, group_sums_mac, windows

BLOCKS = 10_000

CASES = [(table, table.silent_level) for table in TABLES.values() if not table.masked]
CASES += [(TABLES["mttfs"], m) for m in range(16)]
ALL = pytest.mark.parametrize("table, m", CASES, ids=[f"{table.name}-{m}" for table, m in CASES])


def random_codes(table, m, blocks, rng) -> Encoded:
    """Codes of every kind that the table can represent, classes drawn per block."""
    z = table.zero
    ladder = np.array([level for level in table.ladder if level != m] or [0])
    sign = rng.choice([-1, 1], (blocks, 1, 32)) if table.polarity else 1
    spike = rng.choice(ladder, (blocks, 1, 32)) * sign - z
    largest = 255 if z == 0 else 128
    integer = rng.integers(-largest, largest + 1, (blocks, 1, 32))
    levels = integer + z
    is_level = np.isin(np.abs(levels) if table.polarity else levels, table.ladder)
    integer[is_level | (levels == m)] = -largest if table.name != "ttfs8" else 0
    weights = rng.dirichlet([0.5, 0.5, 0.5], blocks)[:, None]  # how common each class is
    weights[:3] = np.eye(3)[:, None]  # all silent, all spikes, all integers
    kind = (rng.random((blocks, 1, 32))[..., None] > weights.cumsum(-1)[:, :, None]).sum(-1)
    kind = kind.clip(0, 2)
    kind[(kind == CodeClass.SPIKE) & (len(table.ladder) == 0)] = CodeClass.INTEGER
    if table.name == "ttfs8":  # the ladder holds every code: there are no integers
        kind[kind == CodeClass.INTEGER] = CodeClass.SPIKE
    decoded = np.choose(kind, [m - z, spike, integer])
    decoded[3] = np.where(kind[3] == CodeClass.INTEGER, largest, decoded[3])
    kind[decoded == m - z] = CodeClass.SILENT
    return Encoded(
        table=table,
        silent_level=m,
        inputs=32,
        decoded=torch.from_numpy(decoded),
        classes=torch.from_numpy(kind.astype(np.int8)),
        scales=torch.full((blocks, 1), 4),
        base=torch.zeros(blocks, dtype=torch.int64),
    )


@ALL
def test_all_forms_equal_the_dot_product(table, m):
    rng = np.random.default_rng(table.number * 16 + m)
    encoded = random_codes(table, m, BLOCKS, rng)
    weights = rng.integers(-8, 8, (BLOCKS, 1, 2, 32))
    weights[:8, :, 0], weights[:8, :, 1] = -8, 7
    weights = torch.from_numpy(weights)
    product = np.einsum("bgi,bgri->bgr", encoded.decoded.numpy(), weights.numpy())
    assert group_sums(encoded, weights).tolist() == product.tolist()
    assert group_sums_mac(encoded, weights).tolist() == product.tolist()
    assert group_sums_events(encoded, weights).tolist() == product.tolist()
    assert group_sums_window(encoded, weights).tolist() == product.tolist()
    kinds = set(encoded.classes.unique().tolist())
    absent = {"ttfs8": {2}, "integer": {1}}.get(table.name, set())
    assert kinds == {0, 1, 2} - absent


@ALL
def test_events_integrated_one_by_one(table, m):
    rng = np.random.default_rng(m)
    encoded = random_codes(table, m, 40, rng)
    weights = torch.from_numpy(rng.integers(-8, 8, (40, 1, 3, 32)))
    sums = group_sums(encoded, weights)
    for i in range(40):
        block = Encoded(
            table=table,
            silent_level=m,
            inputs=32,
            decoded=encoded.decoded[i],
            classes=encoded.classes[i],
            scales=encoded.scales[i],
            base=encoded.base[i],
        )
        assert integrate(events(block), weights[i, 0], m - table.zero) == sums[i, 0].tolist()


def integrate(fired: list[Event], weights: torch.Tensor, silent: int) -> list[int]:
    """Run both windows in unit steps, one row at a time."""
    potential = torch.zeros(weights.shape[0], dtype=torch.int64)
    for coarse in (True, False):
        current = torch.zeros_like(potential)
        potential = 16 * potential
        for level in range(255, 0, -1):
            for event in fired:
                if event.coarse == coarse and event.level == level:
                    row = weights[:, event.channel]
                    current = current - row if event.negative else current + row
            potential = potential + current
    return (potential + silent * weights.sum(-1)).tolist()


def test_events_are_in_time_order():
    table = TABLES["companded"]
    decoded = torch.zeros((1, 32), dtype=torch.int64)
    decoded[0, :5] = torch.tensor([-3, 40, 19, -24, 3])
    classes = torch.zeros((1, 32), dtype=torch.int8)
    classes[0, :5] = torch.tensor([1, 2, 1, 2, 1])
    encoded = Encoded(
        table=table,
        silent_level=0,
        inputs=32,
        decoded=decoded,
        classes=classes,
        scales=torch.tensor([4]),
        base=torch.tensor(0),
    )
    assert events(encoded) == [
        Event(True, 3, 1, False),
        Event(True, 2, 3, True),  # 40 = 16 * 3 - 8, -24 = -(16 * 2 - 8)
        Event(False, 19, 2, False),
        Event(False, 8, 1, True),
        Event(False, 8, 3, False),
        Event(False, 3, 0, True),
        Event(False, 3, 4, False),
    ]


@ALL
def test_digits_stay_in_their_windows(table, m):
    encoded = random_codes(table, m, 500, np.random.default_rng(1))
    placed = windows(encoded)
    assert placed.coarse.abs().max() <= 16
    lowest = placed.fine[encoded.classes == CodeClass.INTEGER].abs()
    assert len(lowest) == 0 or lowest.max() <= 8
    assert torch.equal(16 * placed.coarse + placed.fine, encoded.decoded + table.zero - m)
    fires = (placed.fine != 0) | (placed.coarse != 0)
    assert torch.equal(fires, encoded.classes != CodeClass.SILENT)
