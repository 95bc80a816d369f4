"""The ladder's second rung for encoders: fake quantization, with straight-through gradients."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from hw.spec.codes import DEFAULT_TABLE
from hw.spec.scales import CONSTANT_FRACTION, MEAN_TO_SCALE, SCALE_FRACTION
from sw.convert.container import Quantizer
from sw.convert.encoder import ConvertedEncoder
from sw.golden.fake import FakeQuantizers, straight_through
from sw.golden.fake_weights import PARTS, eight_bit_weight, matrix_values
from sw.golden.float_encoder import EncoderQuantizers

#: Parts of a scale that a silence threshold counts.
_PARTS = 8

#: GGUF names of the matrices before and behind the layers.
_ENDS = {"embedding": "token_embd.weight", "head": "cls.weight"}


class FakeEncoderQuantizers(FakeQuantizers, EncoderQuantizers):
    """Fake quantization of a whole encoder, every tensor with the quantizer of its own.

    Parameters
    ----------
    quantizers : mapping of str to mapping of str to Quantizer
        As of a converted model: tensor name, then code table.
    table : str
        Code table of linear inputs and queries.
    weights : mapping
        Weights that are final already, by tensor name; all others are fake-quantized.
    """

    def __init__(
        self,
        quantizers: Mapping[str, Mapping[str, Quantizer]],
        *,
        table: str = DEFAULT_TABLE,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(table=table, weights=weights)
        for tensor, tables in quantizers.items():
            site = tensor.rsplit(".", 1)[-1]
            if site == "probability":
                threshold = tables["octave" if table != "integer" else table].threshold
                self.thresholds[site] = threshold / _PARTS
                continue
            like = "query" if site == "query" else "attn_q"
            self.tables[tensor], self._levels[tensor] = self.tables[like], self._levels[like]
            quantizer = tables[self.tables[like].name]
            self.constants[tensor] = ratio_of(quantizer.constant)
            self.thresholds[tensor] = quantizer.threshold / _PARTS
            self.silent_levels[tensor] = quantizer.silent_level

    @classmethod
    def from_model(
        cls, model: ConvertedEncoder, *, table: str | None = None
    ) -> FakeEncoderQuantizers:
        """Take quantizers and weights from a converted encoder."""
        weights = {}
        for name, matrix in model.matrices.items():
            values = matrix_values(matrix)
            if name in _ENDS:
                weights[_ENDS[name]] = values
                continue
            _, layer, kind = name.split(".")
            names = PARTS[kind]
            for part, rows in zip(names, values.chunk(len(names)), strict=True):
                weights[f"blk.{layer}.{part}.weight"] = rows
        return cls(model.quantizers, table=table or model.table, weights=weights)

    def weight(self, w: Tensor, name: str) -> Tensor:
        """Round to groups of Q4_1, or of Q8_0 for the head."""
        if name == "cls.weight" and name not in self.weights:
            return straight_through(w, eight_bit_weight(w.detach()))
        return super().weight(w, name)

    def embedding(self, w: Tensor, index: Tensor, name: str) -> Tensor:
        """Rows of an embedding matrix in 8 bits, with one exponent a row."""
        if name in self.weights:
            return functional.embedding(index, self.weights[name])
        rows = functional.embedding(index, w)
        return straight_through(rows, eight_bit_weight(rows.detach()))


def ratio_of(constant: int) -> float:
    """Ratio c that a scale constant stands for."""
    return constant * 32 / MEAN_TO_SCALE / 2 ** (CONSTANT_FRACTION + SCALE_FRACTION)
