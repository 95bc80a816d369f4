"""The converted encoder and its file, in the envelope of :mod:`sw.convert.container`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hw.spec.codes import DEFAULT_TABLE
from sw.convert.container import (
    Quantizer,
    WeightMatrix,
    read_envelope,
    read_matrices,
    read_quantizers,
    write_envelope,
    write_matrices,
    write_quantizers,
)
from sw.load.encoder_config import EncoderConfig

ENCODER_MAGIC = "firstspike encoder"


class FixedPoint(NamedTuple):
    """Numbers of 16 bits that become words (``docs/arithmetic.md`` §15).

    Attributes
    ----------
    values : numpy.ndarray
        int16; a number is ``value * 2^-fraction``.
    fraction : int
        At most the fraction bits of the words that they are added to.
    """

    values: np.ndarray
    fraction: int


def fixed_point(numbers: np.ndarray, most: int) -> FixedPoint:
    """Round numbers to 16 bits with one number of fraction bits: the largest that fits, or most."""
    largest = float(np.abs(numbers).max(initial=0.0)) or 1.0
    fraction = 15 - int(np.frexp(largest)[1])
    if round(largest * 2.0**fraction) > 32767:
        fraction -= 1
    fraction = min(fraction, most)
    return FixedPoint(
        np.rint(numbers.astype(np.float64) * 2.0**fraction).astype(np.int16), fraction
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertedEncoder:
    """An encoder of integers, ready for the golden model and for any core.

    Attributes
    ----------
    name : str
        Name for people.
    config : EncoderConfig
        Shape and constants.
    matrices : dict of str to WeightMatrix
        ``embedding`` (8-bit), ``head`` where there are labels and, per layer N, ``layers.N.`` +
        ``qkv``, ``attn_output``, ``ffn_up``, ``ffn_down``.
    biases : dict of str to FixedPoint
        One per row of every matrix but the embedding, by the matrix's name. At most F = 12
        fraction bits for ``qkv``, ``ffn_up`` and ``head``, at most ``residual_fraction`` for
        ``attn_output`` and ``ffn_down``.
    norms : dict of str to (numpy.ndarray, int)
        ``embedding_norm`` and, per layer N, ``layers.N.`` + ``attn_norm``, ``ffn_norm``: int16
        gains and their fraction bits.
    betas : dict of str to FixedPoint
        Offset of every norm, at most ``residual_fraction`` fraction bits.
    positions : FixedPoint
        Shape (context, width): embeddings of positions, with that of type 0 added; at most
        ``residual_fraction`` fraction bits.
    residual_fraction : int
        Fraction bits RF of the words between the layers.
    table : str
        The code table that the model uses unless another is asked for.
    quantizers : dict of str to dict of str to Quantizer
        Tensor name, then code table. Tensors: per layer N ``layers.N.`` + ``attn_q``,
        ``attn_output``, ``ffn_gate`` (input of ``ffn_up``), ``ffn_down``, ``query``,
        ``probability``; and ``head``.
    tokenizer_spec : dict
        What the tokenizer is made from; JSON-serializable.
    source : dict
        Provenance: name and hash of the checkpoint, calibration text if any.
    """

    name: str
    config: EncoderConfig
    matrices: dict[str, WeightMatrix]
    biases: dict[str, FixedPoint]
    norms: dict[str, tuple[np.ndarray, int]]
    betas: dict[str, FixedPoint]
    positions: FixedPoint
    residual_fraction: int
    table: str = DEFAULT_TABLE
    quantizers: dict[str, dict[str, Quantizer]]
    tokenizer_spec: dict
    source: dict

    def quantizer(self, tensor: str, table: str) -> Quantizer:
        """Quantizer of a tensor's input for one table."""
        return self.quantizers[tensor][table]

    def save(self, path: Path | str) -> None:
        """Write the container; the file appears whole or not at all.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        tensors, matrices = write_matrices(self.matrices)
        tensors |= {f"{name}.gamma": gamma for name, (gamma, _) in self.norms.items()}
        tensors |= {f"{name}.beta": beta.values for name, beta in self.betas.items()}
        tensors |= {f"{name}.bias": bias.values for name, bias in self.biases.items()}
        tensors["positions"] = self.positions.values
        header = {
            "name": self.name,
            "config": dataclasses.asdict(self.config),
            "matrices": matrices,
            "norms": {name: fraction for name, (_, fraction) in self.norms.items()},
            "betas": {name: beta.fraction for name, beta in self.betas.items()},
            "biases": {name: bias.fraction for name, bias in self.biases.items()},
            "position_fraction": self.positions.fraction,
            "residual_fraction": self.residual_fraction,
            "table": self.table,
            "quantizers": write_quantizers(self.quantizers),
            "tokenizer": self.tokenizer_spec,
            "source": self.source,
        }
        write_envelope(path, ENCODER_MAGIC, header, tensors)


def load_encoder(path: Path | str) -> ConvertedEncoder:
    """Read a container.

    Raises
    ------
    UserError
        If the file is missing, damaged, no container of an encoder, or of another version.
    """
    header, tensors = read_envelope(path, ENCODER_MAGIC)
    return ConvertedEncoder(
        name=header["name"],
        config=EncoderConfig(**header["config"]),
        matrices=read_matrices(header["matrices"], tensors),
        biases=_read(header["biases"], tensors, "bias"),
        norms={n: (tensors[f"{n}.gamma"], fraction) for n, fraction in header["norms"].items()},
        betas=_read(header["betas"], tensors, "beta"),
        positions=FixedPoint(tensors["positions"], header["position_fraction"]),
        residual_fraction=header["residual_fraction"],
        table=header["table"],
        quantizers=read_quantizers(header["quantizers"]),
        tokenizer_spec=header["tokenizer"],
        source=header["source"],
    )


def _read(fractions: dict[str, int], tensors: dict, kind: str) -> dict[str, FixedPoint]:
    return {n: FixedPoint(tensors[f"{n}.{kind}"], fraction) for n, fraction in fractions.items()}
