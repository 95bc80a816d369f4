"""Text to tokens and back, whole and token by token."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sw.errors import UserError
from sw.load.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(spec) -> Tokenizer:
    return Tokenizer.from_spec(spec)


def names(spec: dict, ids: list[int]) -> list[str]:
    return [spec["tokens"][i] for i in ids]


def test_merges_apply_within_words(tokenizer, spec):
    assert names(spec, tokenizer.encode("in the")) == ["in", "Ġthe"]
    assert tokenizer.vocabulary == 263


def test_smollm_splits_digits_and_gpt2_does_not(spec):
    assert names(spec, Tokenizer.from_spec(spec).encode("123")) == ["1", "2", "3"]
    for pre in ("gpt-2", "default"):
        gpt2 = Tokenizer.from_spec(spec | {"pre": pre})
        assert names(spec, gpt2.encode("123")) == ["12", "3"]


def test_round_trip(spec):
    tokenizer = Tokenizer.from_spec(spec)

    @given(st.text())
    def check(text: str) -> None:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        stream = tokenizer.stream()
        assert "".join([*map(stream.push, ids), stream.finish()]) == text

    check()


def test_control_tokens_are_text_unless_parsed(tokenizer, spec):
    text = "in<|end|>"
    plain = tokenizer.encode(text)
    assert tokenizer.eos not in plain
    assert tokenizer.decode(plain) == text
    parsed = tokenizer.encode(text, parse_special=True)
    assert names(spec, parsed) == ["in", "<|end|>"]
    assert tokenizer.decode(parsed) == "in"
    assert tokenizer.decode(parsed, keep_special=True) == text


def test_user_defined_tokens_are_always_parsed(spec):
    types = [*spec["token_types"][:-2], 4, 3]
    tokenizer = Tokenizer.from_spec(spec | {"token_types": types})
    ids = tokenizer.encode("in<|start|>")
    assert names(spec, ids) == ["in", "<|start|>"]
    assert tokenizer.decode(ids) == "in<|start|>"


def test_bos_where_the_model_wants_one(spec):
    tokenizer = Tokenizer.from_spec(spec | {"add_bos": True})
    assert names(spec, tokenizer.encode("in")) == ["<|start|>", "in"]
    assert tokenizer.decode(tokenizer.encode("in")) == "in"


def test_chat(tokenizer):
    ids = tokenizer.chat([{"role": "user", "content": "Hi  in"}])
    wanted = "<|start|>user\nHi  in<|end|>\n<|start|>assistant\n"
    assert tokenizer.decode(ids, keep_special=True) == wanted
    assert ids.count(tokenizer.bos) == 2 and ids.count(tokenizer.eos) == 1


def test_chat_mistakes(spec):
    message = [{"role": "user", "content": "Hi"}]
    for template, wanted in (
        (None, "no chat template"),
        ("{% for %}", "chat template fails"),
        ("{{ raise_exception('no system role') }}", "fails on these messages: no system role"),
        ("{{ messages[7].content }}", "chat template fails"),
        ("{{ ''.__class__.__mro__ }}", "chat template fails.*unsafe"),
    ):
        with pytest.raises(UserError, match=wanted):
            Tokenizer.from_spec(spec | {"chat_template": template}).chat(message)
    with pytest.raises(UserError, match="needs a role and a content"):
        Tokenizer.from_spec(spec).chat([{"role": "user"}])


def test_stream_waits_for_complete_utf8(tokenizer):
    stream = tokenizer.stream()
    pushed = [stream.push(i) for i in tokenizer.encode("aé漢😀")]
    assert pushed == ["a", "", "é", "", "", "漢", "", "", "", "😀"]
    assert stream.finish() == ""


def test_stream_ends_within_a_character(tokenizer):
    stream = tokenizer.stream()
    for i in tokenizer.encode("漢")[:2]:
        assert stream.push(i) == ""
    assert stream.push(tokenizer.eos) == ""
    assert stream.finish() == "\ufffd"
    assert stream.push(tokenizer.encode("a")[0]) == "a"


def test_spec_survives_json(spec):
    again = Tokenizer.from_spec(json.loads(json.dumps(spec)))
    assert again.encode("in the 12 é") == Tokenizer.from_spec(spec).encode("in the 12 é")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre": "qwen2"}, "rules 'qwen2': known are gpt-2, default, smollm"),
        ({"token_types": [1, 1]}, "263 tokens but 2 types"),
        ({"eos": 263}, "eos is token 263 of only 263 tokens"),
        ({"merges": ["q z"]}, "merges do not fit its tokens"),
        ({"merges": ["qz"]}, "merges do not fit its tokens"),
        ({"merges": [7]}, "must be text"),
    ],
)
def test_contradictory_spec(spec, change, message):
    with pytest.raises(UserError, match=message):
        Tokenizer.from_spec(spec | change)


@pytest.mark.parametrize("token", [-1, 263])
def test_no_such_token(tokenizer, token):
    with pytest.raises(UserError, match=f"no token {token}: ids go from 0 to 262"):
        tokenizer.decode([token])
