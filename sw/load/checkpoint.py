"""What a loader returns: a trained model exactly as its file holds it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from sw.load.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from sw.load.tokenizer import Tokenizer

GROUP = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Shape and constants of a Llama-family decoder.

    Attributes
    ----------
    layers, width, ffn_width, heads, kv_heads, head_width, vocabulary, context : int
        Sizes; ``width`` is the residual's, ``head_width`` that of one attention head.
    rope_theta : float
        Base of the rotary frequencies.
    rope_interleaved : bool
        True if rotary pairs are (0, 1), (2, 3), ... (the row order of GGUF files).
    norm_epsilon : float
        Epsilon of RMSNorm, added to the mean square.
    tied_head : bool
        True if the output head is the token embedding.
    """

    layers: int
    width: int
    ffn_width: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    context: int
    rope_theta: float
    rope_interleaved: bool
    norm_epsilon: float
    tied_head: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizedTensor:
    """A matrix in groups of 32 inputs: ``weight = scale * code + minimum``.

    Attributes
    ----------
    kind : str
        The file's type: ``"Q4_0"``, ``"Q4_1"`` or ``"Q8_0"``.
    codes : numpy.ndarray
        int8, shape (rows, inputs). Q4_0 and Q4_1: -8..7, the file's nibble minus 8.
        Q8_0: -128..127.
    scale : numpy.ndarray
        float32, shape (rows, inputs / 32).
    offset : numpy.ndarray
        float32, shape (rows, inputs / 32): ``weight = scale * codes + offset``. For Q4_1 this is
        the file's minimum plus 8 * scale; zero for Q4_0 and Q8_0.
    """

    kind: str
    codes: np.ndarray
    scale: np.ndarray
    offset: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (outputs) and inputs."""
        return self.codes.shape

    def dequantize(self) -> np.ndarray:
        """Weights in float32, shape (rows, inputs)."""
        rows, inputs = self.codes.shape
        groups = self.codes.reshape(rows, inputs // GROUP, GROUP).astype(np.float32)
        return (groups * self.scale[..., None] + self.offset[..., None]).reshape(rows, inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint somebody trained, tensors under their GGUF names.

    Attributes
    ----------
    name : str
        Name for people, from the file's metadata or its file name.
    config : LlamaConfig
        Shape and constants.
    tensors : dict
        ``token_embd.weight``, ``output_norm.weight``, ``output.weight`` (absent if tied) and, per
        layer n, ``blk.n.`` + ``attn_norm.weight``, ``attn_q.weight``, ``attn_k.weight``,
        ``attn_v.weight``, ``attn_output.weight``, ``ffn_norm.weight``, ``ffn_gate.weight``,
        ``ffn_up.weight``, ``ffn_down.weight``; each a QuantizedTensor or a float32 array.
    tokenizer : Tokenizer
        Byte-level BPE of the file.
    tokenizer_spec : dict
        What the tokenizer was built from: ``tokens`` (list of str), ``merges`` (list of str),
        ``token_types`` (list of int), ``pre`` (str), ``bos``, ``eos`` (int or None),
        ``add_bos`` (bool), ``chat_template`` (str or None). JSON-serializable. Of a Hugging Face
        model ``json`` (text of ``tokenizer.json``) in the place of the first four.
    sha256 : str
        Hash of the file, or of the files' hashes if the model is in several.
    """

    name: str
    config: LlamaConfig
    tensors: dict[str, QuantizedTensor | np.ndarray]
    tokenizer: Tokenizer
    tokenizer_spec: dict
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderCheckpoint:
    """An encoder somebody trained, tensors under their GGUF names.

    Attributes
    ----------
    name : str
        Name for people.
    config : EncoderConfig
        Shape and constants.
    tensors : dict
        ``token_embd.weight``, ``position_embd.weight``, ``token_types.weight`` (type 0 only),
        ``token_embd_norm``; per layer n ``blk.n.`` + ``attn_q``, ``attn_k``, ``attn_v``,
        ``attn_output``, ``attn_output_norm``, ``ffn_up``, ``ffn_down``, ``layer_output_norm``; and
        ``cls`` if there is a head. All but the first three have ``.weight`` and ``.bias``. Each a
        QuantizedTensor or a float32 array.
    tokenizer : Tokenizer
        WordPiece or whatever the file has; encodes with the tokens around a sentence.
    tokenizer_spec : dict
        As of `Checkpoint`.
    training : dict
        What `firstspike train` noted: task, seed, code table and thresholds; empty otherwise.
    sha256 : str
        Hash of the file.
    """

    name: str
    config: EncoderConfig
    tensors: dict[str, QuantizedTensor | np.ndarray]
    tokenizer: Tokenizer
    tokenizer_spec: dict
    training: dict
    sha256: str


def llama_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a decoder, (outputs, inputs), in the order of computation."""
    width, ffn_width, vocabulary = config.width, config.ffn_width, config.vocabulary
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (width,),
        "attn_q": (queries, width),
        "attn_k": (keys, width),
        "attn_v": (keys, width),
        "attn_output": (width, queries),
        "ffn_norm": (width,),
        "ffn_gate": (ffn_width, width),
        "ffn_up": (ffn_width, width),
        "ffn_down": (width, ffn_width),
    }
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, width)}
    for n in range(config.layers):
        shapes |= {f"blk.{n}.{name}.weight": shape for name, shape in layer.items()}
    shapes["output_norm.weight"] = (width,)
    if not config.tied_head:
        shapes["output.weight"] = (vocabulary, width)
    return shapes


def encoder_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of an encoder, (outputs, inputs), in the order of computation."""
    width, ffn_width = config.width, config.ffn_width
    attention = config.heads * config.head_width
    linear: dict[str, tuple[int, int]] = {
        "attn_q": (attention, width),
        "attn_k": (attention, width),
        "attn_v": (attention, width),
        "attn_output": (width, attention),
        "ffn_up": (ffn_width, width),
        "ffn_down": (width, ffn_width),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (config.vocabulary, width),
        "position_embd.weight": (config.context, width),
        "token_types.weight": (1, width),
        "token_embd_norm.weight": (width,),
        "token_embd_norm.bias": (width,),
    }
    for n in range(config.layers):
        for name, shape in linear.items():
            shapes[f"blk.{n}.{name}.weight"] = shape
            shapes[f"blk.{n}.{name}.bias"] = shape[:1]
        for name in ("attn_output_norm", "layer_output_norm"):
            shapes |= {f"blk.{n}.{name}.{part}": (width,) for part in ("weight", "bias")}
    if config.labels:
        shapes |= {"cls.weight": (config.labels, width), "cls.bias": (config.labels,)}
    return shapes
