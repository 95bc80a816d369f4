"""Files of a Hugging Face model: a folder, or one safetensors file that holds all of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sw.errors import UserError

#: Key of the metadata under which a single file holds its JSON texts, by their files' names.
METADATA = "firstspike checkpoint"

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class ModelFiles:
    """Configuration and tensors of a model.

    Parameters
    ----------
    path : pathlib.Path
        A folder with ``config.json`` and ``model.safetensors``, or shards with their index; or a
        safetensors file that `firstspike train` wrote.

    Attributes
    ----------
    path : pathlib.Path
        As given.
    config : dict
        ``config.json``.
    names : list of str
        Names of all tensors.

    Raises
    ------
    UserError
        If a file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts = {} if path.is_dir() else _embedded(path)
        self.config = self.json("config.json")
        self._files = self._locate() if path.is_dir() else [path]
        self._holder: dict[str, Any] = {}
        for file in self._files:
            opened = _open(file)
            self._holder |= dict.fromkeys(opened.keys(), opened)
        self.names = list(self._holder)

    def json(self, name: str, default: Any = ...) -> Any:
        """Content of a JSON file of the model; the default if there is none."""
        text = self.text(name, None if default is not ... else ...)
        if text is None:
            return default
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UserError(f"{self.path / name} is not JSON: {error}.") from error
        if not isinstance(content, dict):
            raise UserError(f"{self.path / name} must hold a JSON object.")
        return content

    def text(self, name: str, default: Any = ...) -> Any:
        """Text of a file of the model; the default if there is none."""
        if name in self._texts:
            return self._texts[name]
        path = self.path / name
        if path.is_file():
            try:
                return path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{path} is not UTF-8 text: {error.reason}.") from error
        if default is ...:
            raise UserError(f"{self.path} has no {name}: name the folder of a Hugging Face model.")
        return default

    def tensor(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Read a tensor of floats in any precision as float32.

        Raises
        ------
        UserError
            If it is missing, of another shape, of integers, or not finite.
        """
        if name not in self._holder:
            raise UserError(f"{self.path} lacks the tensor {name}.")
        value = self._holder[name].get_tensor(name)
        if tuple(value.shape) != shape:
            raise UserError(
                f"{self.path} holds {name} of shape {tuple(value.shape)} where {shape} is wanted."
            )
        if value.dtype not in _FLOATS:
            kind = str(value.dtype).removeprefix("torch.")
            raise UserError(
                f"{self.path} holds {name} in {kind}: supported are bfloat16, float16 and float32."
            )
        if not bool(torch.isfinite(value).all()):
            raise UserError(f"{self.path} is damaged: {name} holds infinities or NaN.")
        return value.float().numpy().copy()

    def sha256(self) -> str:
        """Hash of the tensors' file; of the hashes of all, in their order, if there are several."""
        hashes = []
        for file in self._files:
            with file.open("rb") as opened:
                hashes.append(hashlib.file_digest(opened, "sha256").hexdigest())
        if len(hashes) == 1:
            return hashes[0]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def tokenizer_spec(self) -> dict:
        """Return what :meth:`sw.load.tokenizer.Tokenizer.from_spec` takes."""
        extra = self.json("tokenizer_config.json", {})
        text = self.text("tokenizer.json", None)
        if text is None:
            vocabulary = self.text("vocab.txt", None)
            if vocabulary is None or self.config.get("model_type") != "bert":
                raise UserError(
                    f"{self.path} has no tokenizer.json: name a folder that holds the tokenizer."
                )
            text = word_piece(vocabulary.split("\n"), lowercase=extra.get("do_lower_case", True))
        template = extra.get("chat_template")
        return {
            "json": text,
            "bos": _first(self.config.get("bos_token_id")),
            "eos": _first(self.config.get("eos_token_id")),
            "chat_template": template if isinstance(template, str) else None,
        }

    def _locate(self) -> list[Path]:
        if (self.path / _WEIGHTS).is_file():
            return [self.path / _WEIGHTS]
        index = self.json(_INDEX, None)
        if index is None:
            raise UserError(
                f"{self.path} has neither {_WEIGHTS} nor {_INDEX}: other formats of weights are "
                "not supported."
            )
        shards = sorted(set(index.get("weight_map", {}).values()))
        for shard in shards:
            if not (self.path / shard).is_file():
                raise UserError(f"{self.path} lacks {shard}, which {_INDEX} names: fetch it again.")
        if not shards:
            raise UserError(f"{self.path / _INDEX} names no files.")
        return [self.path / shard for shard in shards]


def word_piece(vocabulary: list[str], *, lowercase: bool) -> str:
    """Text of the `tokenizer.json` that a BERT `vocab.txt` stands for."""
    ids = {token.rstrip("\r"): i for i, token in enumerate(vocabulary) if token.rstrip("\r")}
    missing = [token for token in ("[UNK]", "[CLS]", "[SEP]") if token not in ids]
    if missing:
        raise UserError(f"The vocabulary has no token {missing[0]}, which BERT needs.")
    coder = Tokenizer(models.WordPiece(vocab=ids, unk_token="[UNK]"))
    coder.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    coder.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    coder.decoder = decoders.WordPiece()
    coder.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")],
    )
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    coder.add_special_tokens([token for token in special if token in ids])
    return coder.to_str()


def is_checkpoint(path: Path) -> bool:
    """Tell whether a file is a checkpoint that `firstspike train` wrote."""
    return METADATA in safetensors_metadata(path)


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file; empty if it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def _embedded(path: Path) -> dict[str, str]:
    """JSON texts that a single file holds."""
    metadata = _open(path).metadata() or {}
    if METADATA not in metadata:
        raise UserError(f"{path} has no config.json in it: name the folder of the model instead.")
    return json.loads(metadata[METADATA])


def _open(path: Path):
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        return safe_open(path, framework="pt").__enter__()
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file, or damaged ({error}).") from error


def _first(token: Any) -> int | None:
    return (token[0] if token else None) if isinstance(token, list) else token
