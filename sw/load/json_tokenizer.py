"""Text to token ids and back as a Hugging Face `tokenizer.json` describes it."""

from __future__ import annotations

import json
import re

import tokenizers

from sw.errors import UserError
from sw.load.tokenizer import Tokenizer, byte_level

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class JsonTokenizer(Tokenizer):
    """A tokenizer of the `tokenizers` library; build it with ``Tokenizer.from_spec``.

    A text gets what the file's template puts around it, such as BOS, or [CLS] and [SEP]. Padding
    and truncation of the file are left out.

    Parameters
    ----------
    spec : dict
        ``json`` (text of the file), ``bos``, ``eos``, ``chat_template``.

    Raises
    ------
    UserError
        If the library cannot read the text.
    """

    def __init__(self, spec: dict) -> None:
        self.bos, self.eos = spec["bos"], spec["eos"]
        self._add_bos, self._template = False, True
        self._chat_template = spec["chat_template"]
        self._plain, self._parsing = _build(spec["json"]), _build(spec["json"])
        self._plain.encode_special_tokens = True
        self.vocabulary = self._plain.get_vocab_size()
        added = self._plain.get_added_tokens_decoder()
        self._control = frozenset(i for i, token in added.items() if token.special)
        tokens = [self._plain.id_to_token(i) or "" for i in range(self.vocabulary)]
        convert = _bytes_of(spec["json"])
        self._bytes = [
            token.encode() if i in added else convert(token) for i, token in enumerate(tokens)
        ]
        for name, token in (("bos", self.bos), ("eos", self.eos)):
            if token is not None and not 0 <= token < self.vocabulary:
                raise UserError(
                    f"The tokenizer's {name} is token {token} of only {self.vocabulary} tokens."
                )


def _build(text: str) -> tokenizers.Tokenizer:
    try:
        coder = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"The tokenizer.json cannot be read ({error}).") from error
    coder.no_padding()
    coder.no_truncation()
    return coder


def _bytes_of(text: str):
    """Return the function from a token to its UTF-8 bytes, by the kind of the tokenizer."""
    content = json.loads(text)
    parts = json.dumps([content.get("pre_tokenizer"), content.get("decoder")])
    if '"ByteLevel"' in parts:
        return byte_level
    return _word_piece if content["model"].get("type") == "WordPiece" else _sentence_piece


def _word_piece(token: str) -> bytes:
    return token[2:].encode() if token.startswith("##") else f" {token}".encode()


def _sentence_piece(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()
