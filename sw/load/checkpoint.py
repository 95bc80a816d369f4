"""What a loader returns: a trained Llama-family model exactly as its file holds it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

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
        ``add_bos`` (bool), ``chat_template`` (str or None). JSON-serializable.
    sha256 : str
        Hash of the file.
    """

    name: str
    config: LlamaConfig
    tensors: dict[str, QuantizedTensor | np.ndarray]
    tokenizer: Tokenizer
    tokenizer_spec: dict
    sha256: str
