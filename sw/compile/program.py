"""The device program: everything that makes tokens, in one image of device memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import INSTRUCTION_BYTES, Instruction
from sw.code_tables import check_table
from sw.compile.cache_layout import CacheShape, HeadCaches
from sw.compile.device_memory import DeviceMemory
from sw.compile.limits import check_core, check_memory, check_vectors, longest_context
from sw.compile.tables import Tables, place_layer, place_shared
from sw.compile.token_program import write_embedding, write_rest, write_token
from sw.compile.vector_layout import fitting_context, lay_out_most
from sw.compile.writer import Writer
from sw.convert.container import ConvertedModel


@dataclasses.dataclass(frozen=True)
class PlacedProgram:
    """A program at a byte address, END included."""

    address: int
    instructions: tuple[Instruction, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prefill:
    """Programs that make several tokens at once, which share every row that is read.

    Attributes
    ----------
    embeddings : tuple of PlacedProgram
        For each token, one that makes its residual.
    rest : PlacedProgram
        All else, up to the largest logits of the last token.
    """

    embeddings: tuple[PlacedProgram, ...]
    rest: PlacedProgram

    @property
    def tokens(self) -> int:
        """Tokens that are made at once."""
        return len(self.embeddings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceProgram:
    """A model, its caches and the program of a token, for one configuration.

    Attributes
    ----------
    name : str
        The model's name.
    source : dict
        The model's provenance.
    configuration : str
        Hexadecimal hash of the hardware configuration.
    table : str
        Code table.
    vocabulary, context : int
        Token ids, and positions, are below these.
    image : numpy.ndarray
        uint8, device memory from address 0 on, the caches without tokens.
    address : int
        Byte address of the program.
    instructions : tuple of Instruction
        The program, END included.
    prefill : Prefill or None
        How to make several tokens at once, if the core can.
    """

    name: str
    source: dict
    configuration: str
    table: str
    vocabulary: int
    context: int
    image: np.ndarray
    address: int
    instructions: tuple[Instruction, ...]
    prefill: Prefill | None = None

    @property
    def single(self) -> PlacedProgram:
        """The program that makes one token."""
        return PlacedProgram(self.address, self.instructions)

    @property
    def batch(self) -> int:
        """Tokens that can be made at once, at least 1."""
        return self.prefill.tokens if self.prefill else 1

    def memory(self, params: CoreParams) -> np.ndarray:
        """Return all of a core's device memory, uint32, with the image in it."""
        memory = np.zeros(params.memory_beats * params.words_per_beat, np.uint32)
        memory.view(np.uint8)[: len(self.image)] = self.image
        return memory


def compile_program(
    model: ConvertedModel,
    params: CoreParams,
    *,
    name: str,
    table: str | None = None,
    context: int | None = None,
) -> DeviceProgram:
    """Lay out a model and write its program.

    Parameters
    ----------
    model : ConvertedModel
        What to run; a tied embedding is laid out once, as the head.
    params : CoreParams
        Configuration of a core with vector memory.
    name : str
        Name of the configuration, for messages.
    table : str, optional
        Code table; the model's own if absent.
    context : int, optional
        Most tokens; as many as model and core allow if absent, or if they allow fewer.

    Raises
    ------
    UserError
        If the core cannot run the model; the message says which field of its configuration is too
        small, and what is needed.
    """
    writer, context = start(model, params, name=name, table=table, context=context)
    table = writer.table.name
    memory = DeviceMemory()
    tables = place_shared(memory, model, params, table=table, context=context)
    for layer in range(model.config.layers):
        tables = tables.with_layer(place_layer(memory, model, params, layer, table=table))
    caches = place_caches(memory, model, params, context=context)
    prefill = None
    if writer.vectors.tokens > 1:
        prefill = _place_prefill(memory, writer, tables, caches)
    writer.begin(tables)
    write_token(writer, caches)
    octets = writer.finish()
    assert memory.size % INSTRUCTION_BYTES == 0
    address = memory.place(octets)
    size = address + len(octets)
    check_memory(params, size, name=name, context=context)
    return DeviceProgram(
        **identity(model, params, table=table, context=context),
        image=memory.image()[:size],
        address=address,
        instructions=tuple(writer.instructions),
        prefill=prefill,
    )


def _place_prefill(
    memory: DeviceMemory, writer: Writer, tables: Tables, caches: Sequence[Sequence[HeadCaches]]
) -> Prefill:
    """Write the programs for as many tokens as vector memory holds."""

    def place() -> PlacedProgram:
        return PlacedProgram(memory.place(writer.finish()), tuple(writer.instructions))

    embeddings = []
    for token in range(writer.vectors.tokens):
        writer.begin(tables)
        write_embedding(writer, token)
        embeddings.append(place())
    writer.begin(tables, tokens=len(embeddings))
    write_rest(writer, caches)
    return Prefill(embeddings=tuple(embeddings), rest=place())


def start(
    model: ConvertedModel,
    params: CoreParams,
    *,
    name: str,
    table: str | None,
    context: int | None,
) -> tuple[Writer, int]:
    """Check what can be before anything is laid out; arguments as :func:`compile_program`.

    Returns
    -------
    writer : Writer
        Without tables so far.
    context : int
        Most tokens.
    """
    table = check_table(table, model.table)
    check_core(model, params, name=name)
    context = fitting_context(model, params, longest_context(model, params, context))
    vectors = lay_out_most(model, params, context=context)
    check_vectors(params, vectors, name=name, context=context)
    return Writer(model, params, table=table, vectors=vectors, context=context), context


def place_caches(
    memory: DeviceMemory, model: ConvertedModel, params: CoreParams, *, context: int
) -> list[list[HeadCaches]]:
    """Take memory for the caches of every layer and key head."""
    c = model.config
    shape = CacheShape.of(params, head_width=c.head_width, context=context)
    return [[HeadCaches.place(memory, shape) for _ in range(c.kv_heads)] for _ in range(c.layers)]


def identity(
    model: ConvertedModel, params: CoreParams, *, table: str, context: int
) -> dict[str, Any]:
    """Fields of :class:`DeviceProgram` that say what it was made from."""
    return {
        "name": model.name,
        "source": model.source,
        "configuration": f"{params.hash:016x}",
        "table": table,
        "vocabulary": model.config.vocabulary,
        "context": context,
    }
