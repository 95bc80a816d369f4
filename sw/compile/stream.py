"""The device program of a model whose layers take turns in two buffers of device memory.

A token is a chain of programs, as vector memory keeps its words between them: the embedding, the
layers, the head. The program of a layer lies behind its weights and is loaded with them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from sw.compile.device_memory import DeviceMemory
from sw.compile.limits import check_memory
from sw.compile.program import DeviceProgram, identity, place_caches, start
from sw.compile.tables import place_layer, place_shared
from sw.compile.token_program import (
    HEAD,
    first_of,
    write_embedding,
    write_head,
    write_layer,
    write_loads,
)
from sw.convert.container import ConvertedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamedLayer:
    """A layer as it lies in a buffer.

    Attributes
    ----------
    weights : numpy.ndarray
        uint8: matrices, row exponents and gains.
    programs : tuple of numpy.ndarray
        uint8, behind the weights: the program for each buffer.
    instructions : tuple of Instruction
        That of the first buffer, END included.
    """

    weights: np.ndarray
    programs: tuple[np.ndarray, np.ndarray]
    instructions: tuple[Instruction, ...]

    def octets(self, buffer: int) -> np.ndarray:
        """Everything that goes into a buffer."""
        return np.concatenate([self.weights, self.programs[buffer]])


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamProgram(DeviceProgram):
    """A model, its caches and the programs of a token, for one configuration.

    ``image`` holds what stays; ``address`` is that of the embedding's program; ``instructions`` are
    those of the whole token, with an END behind each program.

    Attributes
    ----------
    embedding, head : tuple of Instruction
        The programs before the first layer and behind the last one, END included.
    head_address : int
        Byte address of the latter.
    buffers : tuple of int
        Byte address of each buffer.
    layers : tuple of StreamedLayer
        In the order of their use.
    """

    embedding: tuple[Instruction, ...]
    head: tuple[Instruction, ...]
    head_address: int
    buffers: tuple[int, int]
    layers: tuple[StreamedLayer, ...]


def compile_stream(
    model: ConvertedModel,
    params: CoreParams,
    *,
    name: str,
    table: str | None = None,
    context: int | None = None,
) -> StreamProgram:
    """Lay out a model with room for two layers; as :func:`sw.compile.program.compile_program`.

    Raises
    ------
    UserError
        If the core cannot run the model; the message says which field of its configuration is too
        small, and what is needed.
    """
    writer, context = start(model, params, name=name, table=table, context=context)
    table = writer.table.name
    memory = DeviceMemory()
    shared = place_shared(memory, model, params, table=table, context=context)
    caches = place_caches(memory, model, params, context=context)
    writer.begin(shared)
    write_embedding(writer)
    writer.load_rotary()
    address = memory.place(writer.finish())
    embedding = tuple(writer.instructions)
    writer.begin(shared)
    write_loads(writer, HEAD)
    write_head(writer)
    head_address = memory.place(writer.finish())
    head = tuple(writer.instructions)

    first = second = memory.size
    layers = []
    for layer, heads in enumerate(caches):
        buffer = DeviceMemory(first)
        tables = place_layer(buffer, model, params, layer, table=table)
        weights = buffer.image()
        writer.begin(shared.with_layer(tables))
        write_loads(writer, first_of(layer))
        write_layer(writer, layer, heads)
        program = writer.finish()
        buffer.place(program)
        second = max(second, buffer.size)
        layers.append((tables, weights, program, tuple(writer.instructions)))
    check_memory(params, 2 * second - first, name=name, context=context, streamed=True)

    streamed = []
    for layer, (tables, weights, program, instructions) in enumerate(layers):
        writer.begin(shared.with_layer(tables.moved(second - first)))
        write_loads(writer, first_of(layer))
        write_layer(writer, layer, caches[layer])
        programs = program, writer.finish()
        streamed.append(
            StreamedLayer(weights=weights, programs=programs, instructions=instructions)
        )
    between = [instruction for layer in streamed for instruction in layer.instructions]
    return StreamProgram(
        **identity(model, params, table=table, context=context),
        image=memory.image(),
        address=address,
        instructions=(*embedding, *between, *head),
        embedding=embedding,
        head=head,
        head_address=head_address,
        buffers=(first, second),
        layers=tuple(streamed),
    )
