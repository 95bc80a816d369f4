"""Text to token ids and back: byte-level BPE as GGUF files describe it, or a `tokenizer.json`."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

import tokenizers
from tokenizers import models, pre_tokenizers

from sw.errors import UserError
from sw.load.chat import render_chat

_CONTROL, _USER_DEFINED = 3, 4


class Tokenizer:
    """A tokenizer; build it with ``Tokenizer.from_spec``.

    Bytes that the vocabulary has no token for are left out, as the ``tokenizers`` library does.

    Attributes
    ----------
    vocabulary : int
        Number of tokens.
    bos, eos : int or None
        Ids of the tokens that begin and end a text.
    """

    @classmethod
    def from_spec(cls, spec: dict) -> Tokenizer:
        """Build a tokenizer.

        Parameters
        ----------
        spec : dict
            The ``tokenizer_spec`` of a checkpoint.

        Raises
        ------
        UserError
            If the pre-tokenizer is unknown or the parts contradict each other.
        """
        if "json" in spec:
            from sw.load.json_tokenizer import JsonTokenizer

            return JsonTokenizer(spec)
        return cls(spec)

    def __init__(self, spec: dict) -> None:
        _check(spec)
        tokens, types = spec["tokens"], spec["token_types"]
        self.vocabulary = len(tokens)
        self.bos: int | None = spec["bos"]
        self.eos: int | None = spec["eos"]
        self._add_bos: bool = spec["add_bos"]
        self._chat_template: str | None = spec["chat_template"]
        self._control = frozenset(i for i, kind in enumerate(types) if kind == _CONTROL)
        literal = [i for i, kind in enumerate(types) if kind == _USER_DEFINED]
        self._bytes = [byte_level(token) for token in tokens]
        for i in (*self._control, *literal):
            self._bytes[i] = tokens[i].encode()
        self._template = False  # what a template puts around a text, such as [CLS] and [SEP]
        self._plain, self._parsing = _build(spec), _build(spec)
        for either in (self._plain, self._parsing):
            either.add_tokens([_added(tokens[i]) for i in literal])
        self._parsing.add_special_tokens([_added(tokens[i]) for i in sorted(self._control)])

    def encode(self, text: str, *, parse_special: bool = False) -> list[int]:
        """Token ids of a text, behind the BOS token if the model wants one.

        Parameters
        ----------
        text : str
            Any text.
        parse_special : bool
            True to read control tokens such as ``<|im_end|>`` in the text as what they name;
            otherwise they are text like any other.
        """
        coder = self._parsing if parse_special else self._plain
        ids = coder.encode(text, add_special_tokens=self._template).ids
        return [self.bos, *ids] if self._add_bos and self.bos is not None else ids

    def decode(self, ids: Iterable[int], *, keep_special: bool = False) -> str:
        """Text of token ids; incomplete UTF-8 becomes U+FFFD.

        Parameters
        ----------
        ids : iterable of int
            Token ids, 0 to ``vocabulary - 1``.
        keep_special : bool
            True to write control tokens by name; otherwise they have no text.
        """
        pieces = (self.token_bytes(i, keep_special=keep_special) for i in ids)
        return b"".join(pieces).decode("utf-8", errors="replace")

    def token_bytes(self, token: int, *, keep_special: bool = False) -> bytes:
        """UTF-8 bytes of one token, which may be part of a character only."""
        if not 0 <= token < self.vocabulary:
            raise UserError(f"There is no token {token}: ids go from 0 to {self.vocabulary - 1}.")
        return b"" if token in self._control and not keep_special else self._bytes[token]

    def chat(self, messages: list[dict]) -> list[int]:
        """Token ids of a conversation up to where the assistant's answer begins.

        Parameters
        ----------
        messages : list of dict
            Each with ``role`` (``"system"``, ``"user"``, ``"assistant"``) and ``content``.
            Control tokens within a content count as such.

        Raises
        ------
        UserError
            If the model has no chat template, or the template refuses the messages.
        """
        names = {"bos_token": self._name(self.bos), "eos_token": self._name(self.eos)}
        text = render_chat(self._chat_template, messages, names)
        return self._parsing.encode(text, add_special_tokens=False).ids

    def stream(self) -> TokenStream:
        """Return a decoder for tokens that arrive one by one."""
        return TokenStream(self)

    def _name(self, token: int | None) -> str:
        return "" if token is None else self._bytes[token].decode("utf-8", errors="replace")


class TokenStream:
    """Gives text as soon as its UTF-8 is complete.

    Parameters
    ----------
    tokenizer : Tokenizer
        Whose tokens arrive.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Take one token id and return the text that is complete with it, often none."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """Return what is left, U+FFFD for an incomplete character; the stream is empty then."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def _check(spec: dict) -> None:
    size = len(spec["tokens"])
    if spec["pre"] not in _PRE_TOKENIZERS:
        raise UserError(
            f"The tokenizer splits text by the rules {spec['pre']!r}: known are "
            f"{', '.join(_PRE_TOKENIZERS)}."
        )
    if not all(isinstance(text, str) for text in (*spec["tokens"], *spec["merges"])):
        raise UserError("The tokenizer's tokens and merges must be text.")
    if len(spec["token_types"]) != size:
        raise UserError(f"The tokenizer has {size} tokens but {len(spec['token_types'])} types.")
    for name in ("bos", "eos"):
        if spec[name] is not None and not 0 <= spec[name] < size:
            raise UserError(f"The tokenizer's {name} is token {spec[name]} of only {size} tokens.")


def _build(spec: dict) -> tokenizers.Tokenizer:
    vocabulary = {token: i for i, token in enumerate(spec["tokens"])}
    try:
        # A token never begins with the space that separates a pair.
        merges = [
            (pair[: pair.index(" ", 1)], pair[pair.index(" ", 1) + 1 :]) for pair in spec["merges"]
        ]
        coder = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:  # the library raises bare Exception for a bad merge
        raise UserError(f"The tokenizer's merges do not fit its tokens ({error}).") from error
    coder.pre_tokenizer = _PRE_TOKENIZERS[spec["pre"]]()
    return coder


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _smollm() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()])


_PRE_TOKENIZERS = {"gpt-2": _gpt2, "default": _gpt2, "smollm": _smollm}


def _added(content: str) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(content, normalized=False)


def _byte_characters() -> dict[str, int]:
    """Byte by character of the byte-level alphabet: printable bytes stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }


_BYTES = _byte_characters()


def byte_level(token: str) -> bytes:
    """Bytes of a token in the byte-level alphabet."""
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:
        return token.encode()
