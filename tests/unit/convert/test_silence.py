"""Silence thresholds of sites."""

import pytest

from sw.convert.defaults import site_of
from sw.convert.silence import parse_thresholds, with_thresholds
from sw.errors import UserError
from tests.unit.compile.programs import small_model


def test_thresholds_of_named_sites_change_and_no_others():
    model = small_model(1)
    changed = with_thresholds(model, parse_thresholds(["ffn_down=1.25", "attn_q=.875"]))
    for tensor, tables in changed.quantizers.items():
        for table, quantizer in tables.items():
            before = model.quantizers[tensor][table]
            wanted = {"ffn_down": 10, "attn_q": 7}.get(site_of(tensor), before.threshold)
            wanted = wanted if table == model.table else before.threshold
            assert quantizer.threshold == wanted
            assert (quantizer.constant, quantizer.silent_level) == (
                before.constant,
                before.silent_level,
            )
    assert parse_thresholds([]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("down=1", "needs SITE=SCALES with a site of attn_q, .*, not 'down=1'"),
        ("ffn_down", "ffn_down needs a number of scales, not ''"),
        ("head=much", "head needs a number of scales, not 'much'"),
        ("head=nan", "head must be a multiple of 1/8 from 0 to 31.875, not nan"),
        ("head=-1", "head must be a multiple of 1/8 from 0 to 31.875, not -1"),
        ("head=32", "head must be a multiple of 1/8 from 0 to 31.875, not 32"),
        ("head=.3", "head must be a multiple of 1/8 from 0 to 31.875, not .3"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UserError, match=message):
        parse_thresholds([text])
