"""Matrices and vectors of an encoder in device memory."""

from __future__ import annotations

import dataclasses

from hw.spec.params import CoreParams
from sw.compile.device_memory import DeviceMemory
from sw.compile.image import needs_sums
from sw.compile.tables import PlacedMatrix, place_matrix
from sw.convert.encoder import ConvertedEncoder
from sw.golden.linear import input_site


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderTables:
    """Where everything of an encoder lies.

    Attributes
    ----------
    matrices : dict of str to PlacedMatrix
        By the converted model's names.
    mantissas : int
        Byte address of the mantissas d of the embedding, row by row.
    gains, betas, biases : dict of str to int
        Byte addresses of numbers of 2 bytes, by the names of norms and matrices.
    positions : int
        The same of the positions, one behind the other.
    """

    matrices: dict[str, PlacedMatrix]
    mantissas: int
    gains: dict[str, int]
    betas: dict[str, int]
    biases: dict[str, int]
    positions: int


def place_encoder(
    memory: DeviceMemory, model: ConvertedEncoder, params: CoreParams, *, table: str
) -> EncoderTables:
    """Lay out a model.

    Raises
    ------
    UserError
        If a row exponent does not fit a byte.
    """
    matrices = {}
    for name, matrix in model.matrices.items():
        sums = name != "embedding" and needs_sums(
            table, model.quantizer(input_site(name), table).silent_level
        )
        matrices[name] = place_matrix(memory, name, matrix, params, sums=sums)
    return EncoderTables(
        matrices=matrices,
        mantissas=memory.place(model.matrices["embedding"].d),
        gains={name: memory.place(gamma.astype("<i2")) for name, (gamma, _) in model.norms.items()},
        betas={name: memory.place(beta.values.astype("<i2")) for name, beta in model.betas.items()},
        biases={n: memory.place(bias.values.astype("<i2")) for n, bias in model.biases.items()},
        positions=memory.place(model.positions.values.astype("<i2")),
    )
