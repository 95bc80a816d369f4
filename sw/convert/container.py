"""The converted model and its file: safetensors with a JSON header, versioned, no pickle."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from hw.spec.codes import DEFAULT_TABLE, TABLES
from hw.spec.formats import CONTAINER_VERSION, FORMATS, WeightFormat
from sw.errors import UserError
from sw.load.checkpoint import LlamaConfig

MAGIC = "firstspike model"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightMatrix:
    """A matrix in groups of 32 inputs (``docs/arithmetic.md`` §4).

    Attributes
    ----------
    format : WeightFormat
        4-bit or 8-bit codes.
    codes : numpy.ndarray
        int8, shape (rows, inputs).
    d, b : numpy.ndarray
        int8, shape (rows, groups): mantissas and offsets, -127..127.
    exponent : numpy.ndarray
        int16, shape (rows,): ``weight = (d * code + b) * 2^exponent``.
    """

    format: WeightFormat
    codes: np.ndarray
    d: np.ndarray
    b: np.ndarray
    exponent: np.ndarray

    @property
    def rows(self) -> int:
        """Outputs."""
        return self.codes.shape[0]

    @property
    def inputs(self) -> int:
        """Inputs, padding excluded."""
        return self.codes.shape[1]

    @property
    def groups(self) -> int:
        """Groups of a row, the last one perhaps partial."""
        return self.d.shape[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantizer:
    """How one tensor is coded with one table.

    Attributes
    ----------
    constant : int
        Scale constant C, 1..4095.
    threshold : int
        Silence threshold in 1/8 of the scale, 0..255.
    silent_level : int
        Level m; 0 unless the table is masked.
    """

    constant: int
    threshold: int
    silent_level: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertedModel:
    """A model of integers, ready for the golden model and for any core.

    Attributes
    ----------
    name : str
        Name for people.
    config : LlamaConfig
        Shape and constants.
    matrices : dict of str to WeightMatrix
        ``embedding``, ``head`` (absent if tied) and, per layer N, ``layers.N.`` + ``qkv``,
        ``attn_output``, ``gate_up``, ``ffn_down``.
    norms : dict of str to (numpy.ndarray, int)
        ``output_norm`` and, per layer N, ``layers.N.`` + ``attn_norm``, ``ffn_norm``: int16 gains
        and their fraction bits.
    rope : numpy.ndarray
        int16, shape (context, head_width / 2, 2): cosine and sine with 14 fraction bits.
    residual_fraction : int
        Fraction bits RF of the residual.
    table : str
        The code table that the model uses unless another is asked for.
    quantizers : dict of str to dict of str to Quantizer
        Tensor name, then code table. Tensors: per layer N ``layers.N.`` + ``attn_q``,
        ``attn_output``, ``ffn_gate``, ``ffn_down``, ``query``, ``probability``; and ``head``.
    tokenizer_spec : dict
        What :meth:`sw.load.tokenizer.Tokenizer.from_spec` takes.
    source : dict
        Provenance: name and hash of the checkpoint, calibration text if any.
    """

    name: str
    config: LlamaConfig
    matrices: dict[str, WeightMatrix]
    norms: dict[str, tuple[np.ndarray, int]]
    rope: np.ndarray
    residual_fraction: int
    table: str = DEFAULT_TABLE
    quantizers: dict[str, dict[str, Quantizer]]
    tokenizer_spec: dict
    source: dict

    def quantizer(self, tensor: str, table: str) -> Quantizer:
        """Quantizer of a tensor's input for one table."""
        return self.quantizers[tensor][table]

    @property
    def head(self) -> WeightMatrix:
        """The output head, which may be the embedding."""
        return self.matrices.get("head", self.matrices["embedding"])

    def save(self, path: Path | str) -> None:
        """Write the container; the file appears whole or not at all.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        tensors, matrices = write_matrices(self.matrices)
        tensors["rope"] = self.rope
        tensors |= {f"{name}.gamma": gamma for name, (gamma, _) in self.norms.items()}
        header = {
            "name": self.name,
            "config": dataclasses.asdict(self.config),
            "matrices": matrices,
            "norms": {name: fraction for name, (_, fraction) in self.norms.items()},
            "residual_fraction": self.residual_fraction,
            "table": self.table,
            "quantizers": write_quantizers(self.quantizers),
            "tokenizer": self.tokenizer_spec,
            "source": self.source,
        }
        write_envelope(path, MAGIC, header, tensors)


def load(path: Path | str) -> ConvertedModel:
    """Read a container.

    Raises
    ------
    UserError
        If the file is missing, damaged, no container of ours, or of another version.
    """
    header, tensors = read_envelope(path, MAGIC)
    return ConvertedModel(
        name=header["name"],
        config=LlamaConfig(**header["config"]),
        matrices=read_matrices(header["matrices"], tensors),
        norms={n: (tensors[f"{n}.gamma"], fraction) for n, fraction in header["norms"].items()},
        rope=tensors["rope"],
        residual_fraction=header["residual_fraction"],
        table=header["table"],
        quantizers=read_quantizers(header["quantizers"]),
        tokenizer_spec=header["tokenizer"],
        source=header["source"],
    )


def write_matrices(matrices: dict[str, WeightMatrix]) -> tuple[dict[str, np.ndarray], dict]:
    """Return the tensors of matrices, and what the header says of them."""
    tensors: dict[str, np.ndarray] = {}
    for name, matrix in matrices.items():
        codes = pack_nibbles(matrix.codes) if matrix.format.name == "w4" else matrix.codes
        tensors |= {
            f"{name}.codes": codes,
            f"{name}.d": matrix.d,
            f"{name}.b": matrix.b,
            f"{name}.exponent": matrix.exponent,
        }
    return tensors, {n: [m.format.name, *m.codes.shape] for n, m in matrices.items()}


def read_matrices(header: dict, tensors: dict[str, np.ndarray]) -> dict[str, WeightMatrix]:
    """Inverse of :func:`write_matrices`."""
    matrices = {}
    for name, (kind, rows, inputs) in header.items():
        codes = tensors[f"{name}.codes"]
        if kind == "w4":
            codes = unpack_nibbles(codes, inputs)
        matrices[name] = WeightMatrix(
            format=FORMATS[kind],
            codes=codes.reshape(rows, inputs),
            d=tensors[f"{name}.d"],
            b=tensors[f"{name}.b"],
            exponent=tensors[f"{name}.exponent"],
        )
    return matrices


def write_quantizers(quantizers: dict[str, dict[str, Quantizer]]) -> dict:
    """Return what the header says of quantizers."""
    return {
        tensor: {t: list(dataclasses.astuple(q)) for t, q in tables.items()}
        for tensor, tables in quantizers.items()
    }


def read_quantizers(header: dict) -> dict[str, dict[str, Quantizer]]:
    """Inverse of :func:`write_quantizers`; unknown tables are left out."""
    return {
        tensor: {
            t: Quantizer(constant=q[0], threshold=q[1], silent_level=q[2])
            for t, q in tables.items()
            if t in TABLES
        }
        for tensor, tables in header.items()
    }


def write_envelope(
    path: Path | str, magic: str, header: dict, tensors: dict[str, np.ndarray]
) -> None:
    """Write a header, to which the version is added, and tensors; errors as :func:`write_whole`."""
    data = save(
        {n: np.ascontiguousarray(t) for n, t in tensors.items()},
        metadata={magic: json.dumps({"version": CONTAINER_VERSION} | header, sort_keys=True)},
    )
    write_whole(Path(path), data)


def read_envelope(path: Path | str, magic: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Read header and tensors.

    Raises
    ------
    UserError
        If the file is missing, damaged, has no such header, or is of another version.
    """
    path = Path(path)
    try:
        header, tensors = _read(path, magic)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError):
        raise UserError(
            f"{path} is not a Firstspike container, or it is truncated; make one with "
            "`firstspike convert`"
        ) from None
    if header["version"] != CONTAINER_VERSION:
        raise UserError(
            f"{path} is a container of version {header['version']}, this program reads version "
            f"{CONTAINER_VERSION}; convert the checkpoint again"
        )
    return header, tensors


def _read(path: Path, magic: str) -> tuple[dict, dict[str, np.ndarray]]:
    from safetensors import safe_open

    if not path.is_file():
        raise FileNotFoundError(2, "there is no such file")
    with safe_open(path, framework="numpy") as file:
        header = json.loads((file.metadata() or {})[magic])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Raises
    ------
    UserError
        If the folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None


def pack_nibbles(codes: np.ndarray) -> np.ndarray:
    """Pack codes -8..7 two to a byte, the even input in the low nibble; odd rows are padded."""
    rows, inputs = codes.shape
    padded = np.zeros((rows, inputs + inputs % 2), np.uint8)
    padded[:, :inputs] = codes.astype(np.uint8) & 15
    return padded[:, 0::2] | padded[:, 1::2] << 4


def unpack_nibbles(packed: np.ndarray, inputs: int) -> np.ndarray:
    """Inverse of :func:`pack_nibbles`."""
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(packed.shape[0], -1)
    return ((nibbles[:, :inputs] ^ 8).astype(np.int8) - 8).astype(np.int8)
