"""Attention against a scalar transcription of the arithmetic, one head and token at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.codes import TABLES
from sw.golden import attention
from sw.golden.cache import HeadCache, code_heads
from tests.unit.golden.reference import slow_attention, slow_cache

WORD_MAX = 2**23 - 1


@given(st.lists(st.integers(-WORD_MAX, WORD_MAX), min_size=1, max_size=9), st.integers(0, 23))
def test_cache_codes(y, quieter):
    y = [value >> quieter for value in y]
    coded = code_heads(torch.tensor(y))
    codes, m, e = slow_cache(y)
    assert coded.codes.tolist() == codes
    assert (coded.mantissa.item(), coded.exponent.item()) == (m, e)
    assert 64 <= m <= 127 and max(map(abs, codes)) <= 127
    unit = m * 2.0**e
    for value, code in zip(y, codes, strict=True):
        assert abs(value - code * unit) <= 0.52 * unit


def test_cache_grows_token_by_token():
    y = torch.from_numpy(np.random.default_rng(0).integers(-5000, 5000, (7, 2, 6)))
    whole, grown = (HeadCache(heads=2, head_width=6, context=9) for _ in range(2))
    whole.append(y)
    for token in y:
        grown.append(token[None])
    assert whole.length == grown.length == 7
    for a, b in zip(whole.coded, grown.coded, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("table", [t for t in TABLES.values() if t.linear], ids=lambda t: t.name)
@pytest.mark.parametrize("loudness, theta", [(2.0**7, 4), (2.0**12, 19), (2.0**22, 4), (0.6, 8)])
def test_attention_equals_scalar_reference(table, loudness, theta):
    rng = np.random.default_rng(int(loudness))
    first, tokens, heads, shared, width = 34, 3, 2, 2, 38
    past = first + tokens

    def draw(*shape):
        y = rng.normal(size=shape) * loudness * 2.0 ** rng.integers(-6, 2, (*shape[:-1], 1))
        return torch.from_numpy(y.clip(-WORD_MAX, WORD_MAX).astype(np.int64))

    query = draw(heads, shared, tokens, width)
    keys, values = draw(heads, past, width), draw(heads, past, width)
    values[0, 3], keys[1, 2], query[0, 0, 0] = 0, 0, 0
    values[1, past - 1] = WORD_MAX  # louder than what earlier tokens may know of
    coded_keys, coded_values = code_heads(keys), code_heads(values)
    visible = torch.arange(past) <= torch.arange(first, past)[:, None]
    score = attention.scores(
        query,
        coded_keys,
        visible,
        table=attention.query_table(table),
        constant=367,
        threshold=theta,
    )
    p = attention.probabilities(score, visible)
    assert p.masked_select(~visible).eq(0).all()
    mixed = attention.context(
        p, coded_values, visible, table=attention.probability_table(table), threshold=theta
    )
    for head, share, token in np.ndindex(heads, shared, tokens):
        seen = slice(0, first + token + 1)
        expected = slow_attention(
            query[head, share, token].tolist(),
            [slow_cache(y) for y in keys[head, seen].tolist()],
            [slow_cache(y) for y in values[head, seen].tolist()],
            table,
            367,
            theta,
            theta,
        )
        assert mixed[head, share, token].tolist() == expected


def test_values_that_vanish_beside_louder_ones_give_zero():
    """The only likely token has a value 2^-23 of another's: every code is 0."""
    values = code_heads(torch.tensor([[[1, 0, 0], [WORD_MAX, 0, 0]]]))
    p = torch.tensor([65535, 0]).view(1, 1, 1, 2)
    visible = torch.ones(1, 2, dtype=torch.bool)
    mixed = attention.context(p, values, visible, table=TABLES["octave"], threshold=4)
    assert mixed.tolist() == [[[[0, 0, 0]]]]
