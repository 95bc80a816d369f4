"""The programs of an encoder, up to a sentence's vector (``docs/arithmetic.md`` §15).

Every length of a sentence has programs of its own. They lie behind the model in device memory, one
length's at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Opcode
from sw.code_tables import check_table
from sw.compile.cache_layout import CacheShape, HeadCaches
from sw.compile.device_memory import DeviceMemory
from sw.compile.encoder_attention import EncoderAttention
from sw.compile.encoder_layout import EncoderLayout, lay_out_encoder
from sw.compile.encoder_limits import check_encoder, check_fits, longest_sentence
from sw.compile.encoder_tables import EncoderTables, place_encoder
from sw.compile.encoder_writer import EncoderWriter
from sw.compile.program import PlacedProgram, Prefill
from sw.convert.encoder import ConvertedEncoder
from sw.golden.encoder_vector import reciprocal


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceProgram:
    """Programs for sentences of one length.

    Attributes
    ----------
    programs : Prefill
        What makes the tokens' embeddings, and all else.
    octets : numpy.ndarray
        uint8: they, from the address of the first one on.
    vectors : EncoderLayout
        Where the words of the sentence are in the end.
    """

    programs: Prefill
    octets: np.ndarray
    vectors: EncoderLayout


class EncoderProgram:
    """A model in device memory, and the programs of its sentences.

    Parameters
    ----------
    model : ConvertedEncoder
        What to run.
    params : CoreParams
        Configuration of a core with vector memory and ``encoder``.
    name : str
        Name of the configuration, for messages.
    table : str, optional
        Code table; the model's own if absent.
    context : int, optional
        Most tokens of a sentence; as many as model and core allow if absent, or if they allow
        fewer.

    Attributes
    ----------
    name, source : str, dict
        The model's.
    config : EncoderConfig
        Its shape.
    configuration : str
        Hexadecimal hash of the hardware configuration.
    table : str
        Code table.
    context : int
        Most tokens of a sentence.
    image : numpy.ndarray
        uint8, device memory from address 0 on, without programs.

    Raises
    ------
    UserError
        If the core cannot run the model; the message says which field of its configuration is too
        small, and what is needed.
    """

    def __init__(
        self,
        model: ConvertedEncoder,
        params: CoreParams,
        *,
        name: str,
        table: str | None = None,
        context: int | None = None,
    ) -> None:
        self.table = check_table(table, model.table)
        check_encoder(model, params, name=name)
        self.context = longest_sentence(model, params, context, name=name)
        self._model, self._params, self._configuration = model, params, name
        memory = DeviceMemory()
        self._tables: EncoderTables = place_encoder(memory, model, params, table=self.table)
        shape = CacheShape.of(params, head_width=model.config.head_width, context=self.context)
        self._caches = [HeadCaches.place(memory, shape) for _ in range(model.config.heads)]
        self.image = memory.image()
        self.name, self.source, self.config = model.name, model.source, model.config
        self.configuration = f"{params.hash:016x}"
        self._sentences: dict[int, SentenceProgram] = {}
        check_fits(params, len(self.image), name=name)

    @property
    def address(self) -> int:
        """Byte address of the programs."""
        return len(self.image)

    def memory(self) -> np.ndarray:
        """Return all of the core's device memory, uint32, with the image in it."""
        memory = np.zeros(self._params.memory_beats * self._params.words_per_beat, np.uint32)
        memory.view(np.uint8)[: len(self.image)] = self.image
        return memory

    def sentence(self, tokens: int) -> SentenceProgram:
        """Return the programs for sentences of so many tokens, 1..``context``."""
        if tokens not in self._sentences:
            self._sentences[tokens] = self._compile(tokens)
        return self._sentences[tokens]

    def _compile(self, tokens: int) -> SentenceProgram:
        vectors = lay_out_encoder(self._model, self._params, tokens=tokens)
        memory = DeviceMemory(self.address)
        writer = EncoderWriter(
            self._model, self._params, table=self.table, tables=self._tables, vectors=vectors
        )

        def place() -> PlacedProgram:
            octets = writer.finish_for(0)
            placed = PlacedProgram(memory.place(octets), tuple(writer.instructions))
            writer.start_anew()
            return placed

        embeddings = []
        for token in range(tokens):
            write_embedding(writer, token)
            embeddings.append(place())
        write_sentence(writer, self._caches)
        programs = Prefill(embeddings=tuple(embeddings), rest=place())
        check_fits(self._params, memory.size, name=self._configuration)
        return SentenceProgram(programs=programs, octets=memory.image(), vectors=vectors)


def write_embedding(writer: EncoderWriter, token: int) -> None:
    """Add up the embeddings of a token and of its position."""
    vectors, width = writer.vectors, writer.model.config.width
    writer.load_embedding(vectors.codes, vectors.mantissas, vectors.exponent)
    positions, place = writer.model.positions, vectors.row + vectors.residual_stride
    address = writer.tables.positions + 2 * token * width
    writer.load_numbers(place, address, width, positions, writer.fraction)
    writer.add(
        Opcode.EMBED,
        a=vectors.codes,
        b=vectors.mantissas,
        c=vectors.exponent,
        target=vectors.row,
        count=width,
        constant=writer.fraction,
    )
    h = writer.residual(token)
    writer.add_up(vectors.row, h, width, rows=2, stride=vectors.residual_stride)


def write_sentence(writer: EncoderWriter, caches: Sequence[HeadCaches]) -> None:
    """Write everything from the sums of embeddings to the pooled vector and the logits."""
    vectors, config = writer.vectors, writer.model.config
    writer.load_norm("embedding_norm")
    for token in range(vectors.tokens):
        writer.norm("embedding_norm", token)
    for layer in range(config.layers):
        write_layer(writer, layer, caches)
    mean = config.pooling == "mean"
    rows = vectors.tokens if mean else 1
    scale = reciprocal(rows)
    writer.add_up(
        vectors.residual,
        vectors.pooled,
        config.width,
        rows=rows,
        stride=vectors.residual_stride,
        multiplier=scale.mantissa,
        k=-scale.exponent,
    )
    if config.labels:
        writer.load_rows("head")
        writer.normalize("head", [vectors.pooled])
        writer.project("head", vectors=1, target=vectors.logits, stride=0)


def write_layer(writer: EncoderWriter, layer: int, caches: Sequence[HeadCaches]) -> None:
    """Write a layer, from residuals to residuals; loads stand where their words are free."""
    prefix, vectors = f"layers.{layer}.", writer.vectors
    qkv, output, up, down = (
        f"{prefix}{name}" for name in ("qkv", "attn_output", "ffn_up", "ffn_down")
    )
    norms = f"{prefix}attn_norm", f"{prefix}ffn_norm"
    attention = EncoderAttention(writer, layer, caches)
    writer.load_rows(qkv)
    for norm in norms:
        writer.load_norm(norm)
    for chunk in writer.chunks():
        attention.keep(chunk)
    for number, chunk in enumerate(writer.chunks()):
        if number:
            writer.load_rows(qkv)
        attention.mix(chunk)
        writer.load_rows(output)
        places = range(len(chunk))
        writer.normalize(output, [writer.work(vector) for vector in places])
        writer.accumulate(output, chunk)
        for token in chunk:
            writer.norm(norms[0], token)

        writer.load_rows(up)
        writer.normalize(up, [writer.residual(token) for token in chunk])
        target, stride = vectors.work, vectors.hidden_stride
        writer.project(up, vectors=len(chunk), target=target, stride=stride)
        writer.load_rows(down)
        for vector in places:
            count = writer.model.config.ffn_width
            writer.add(Opcode.GELU, a=writer.hidden(vector), count=count, vector=vector)
            writer.encode(down, vector)
        writer.accumulate(down, chunk)
        for token in chunk:
            writer.norm(norms[1], token)
