"""Tile engine and synapse memory: items of whole vectors, weights as the compiler lays them out."""

from __future__ import annotations

import numpy as np

from hw.encode.classifier import code_layout
from hw.encode.event import event_layout
from hw.integrate.beat import SPIKE_FIELDS, beat_layout
from hw.spec.formats import FORMATS, W8
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import MatrixImage, needs_sums, pack_matrix
from sw.golden.counters import memory_counters
from tests.scenario.lanes import GROUP_FIELDS
from tests.scenario.player import Phase, Scenario, Sink, Source
from tests.scenario.synapse_array import SynapseArray
from tests.scenario.vectors import Vector, classes, random_vectors
from tests.unit.golden.models import random_matrix

#: Beats of synapse memory.
BEATS = 2500


def params_of(integrator: str, memory: str, lanes: int) -> CoreParams:
    return CoreParams(
        CoreConfig(
            lanes=lanes, memory_beats=BEATS, max_inputs=96, max_outputs=3 * lanes,
            integrator=integrator, memory=memory, axi_data_width=4 * lanes,
            hole=3, outstanding=3, ring_groups=4,
        )
    )  # fmt: skip


def component(integrator: str, memory: str, lanes: int) -> SynapseArray:
    return SynapseArray(params_of(integrator, memory, lanes))


def scenario(
    rng: np.random.Generator, integrator: str, memory: str, lanes: int, *, products: int = 3
) -> Scenario:
    """Products with matrices of one to three tiles, which lie behind each other."""
    params = params_of(integrator, memory, lanes)
    formats = [f for f in FORMATS.values() if lanes % f.lanes_per_output == 0]
    base = int(rng.integers(900, 1024)) if params.external else 0  # a page ends at beat 1024
    images, phases, beats = [np.zeros((base, params.words_per_beat), np.uint32)], [], 0
    for number, vector in enumerate(random_vectors(rng, products)):
        layout = formats[number % len(formats)]
        rows = int(rng.integers(1, 3 * layout.outputs(lanes) + 1))
        matrix = random_matrix(rng, rows, vector.inputs, layout)
        image = pack_matrix(matrix, lanes, sums=needs_sums(vector.table, vector.silent))
        phases += _product(params, vector, image, base)
        images.append(image.words.reshape(-1, params.words_per_beat))
        base += len(images[-1])
        if params.external:
            beats += phases[-1].after["beats_read"] + phases[-1].after["beats_hole"]

    contents = np.concatenate(images)
    if not params.external:
        phases.insert(0, Phase(hold={"busy": 0}, send={"window": list(_writes(contents))}))
    idle = {"events": {"events__valid": 0}}
    idle |= {"window": {"window__write": 0}, "classified": {"classified__valid": 0}}
    del idle["window" if params.external else "classified"]
    sources = {name: Source(idle=ports) for name, ports in idle.items()}
    batch = 1 << 30  # one replay asks for all tiles
    sources["events"] = Source(
        idle=idle["events"], ready="events__ready", gate="replay", batch=batch
    )
    layout = beat_layout(params)
    return Scenario(
        sources=sources,
        sinks={
            "heads": Sink(
                valid="head",
                payload=("beat", "head_data"),
                meaning=lambda beat, data: (layout.from_bits(beat).scale, data),
            ),
            "rows": Sink(
                valid="row",
                payload=("beat", "row_data"),
                meaning=lambda beat, data: _meaning(layout.from_bits(beat), data),
            ),
        },
        phases=phases,
        memory=contents.astype("<u4").tobytes() if params.external else b"",
        beats=beats,
    )


def _product(params: CoreParams, vector: Vector, image: MatrixImage, base: int):
    """One instruction; codes come after its start."""
    encoded, items = vector.encoded, vector.items(params.integrator)
    tiles, blocks, _, _ = image.words.shape
    after = memory_counters(
        encoded,
        weight_format=image.format,
        rows=image.rows,
        lanes=params.lanes,
        integrator=params.integrator,
        memory=params.config.memory,
        hole=params.hole,
    )
    head_beats = image.format.head_beats(sums=image.sums)
    hold = {"wide": int(image.format is W8), "sums": int(image.sums), "tiles": tiles}
    hold |= {"weight_base": base}
    payload, beats = event_layout(params), [[_bits(b) for b in g] for t in image.words for g in t]
    events = [{"events__valid": 1, "events__payload": payload.const(i).as_bits()} for i in items]
    send = {"events": tiles * events}
    if params.external:
        hold |= {"blocks": blocks, "head_beats": head_beats, "encoding": 1}
        send["classified"] = list(_codes(vector))
    else:
        hold["busy"] = 1
        del after["beats_hole"]  # there is no such port
    heads = [(int(k < image.format.scale_beats), g[k]) for g in beats for k in range(head_beats)]
    rows, group = [], 0
    for tile in range(tiles):
        for item in items:
            ends = item["ends_group" if params.integrator == "spike" else "last"]
            block = group - blocks * tile
            group += ends if params.integrator == "spike" else 0
            row = None if item["empty"] else beats[group][head_beats + item["row"]]
            rows.append((_command(item, block if ends else None, blocks), row))
            group += ends if params.integrator == "mac" else 0
    pulse = ("encode", "start") if params.external else ("start",)
    yield Phase(hold=hold, pulse=pulse)
    yield Phase(send=send, expect={"heads": heads, "rows": rows}, after=after)


def _command(item: dict[str, int], ends: int | None, blocks: int) -> dict[str, int]:
    """Fields of a beat, and of the block that ends with it."""
    names = SPIKE_FIELDS if "gap" in item else ("code",)
    command = {name: item[name] for name in names} | {"ends": int(ends is not None)}
    if ends is not None:
        command |= {name: item[name] for name in ("mantissa", "shift", "code_sum")}
        command |= {"first": int(ends == 0), "last": int(ends == blocks - 1)}
    return command


def _meaning(beat, row: int) -> tuple[dict[str, int], int | None]:
    """Fields as those of `_command`, and the row where it means something."""
    spike = "gap" in beat.shape().members
    names = SPIKE_FIELDS if spike else ("code",)
    command = {name: int(getattr(beat, name)) for name in names} | {"ends": int(beat.last)}
    if beat.last:
        command |= {name: int(getattr(beat.group, name)) for name in GROUP_FIELDS}
    empty = beat.empty if spike else beat.code == 0
    if spike and empty:
        command["negative"] = 0
    return command, None if empty else row


def _bits(words: np.ndarray) -> int:
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def _writes(contents: np.ndarray):
    """Words through the window, whose address stands for a cycle before each."""
    for address, word in enumerate(contents.ravel().tolist()):
        ports = {"window__address": address, "window__write_data": word}
        yield {**ports, "window__write": 0}
        yield {**ports, "window__write": 1}


def _codes(vector: Vector):
    for code in classes(vector.encoded):
        place = {"row": code.pop("row"), "last": code.pop("ends")}
        bits = code_layout().const({**code, "place": place}).as_bits()
        yield {"classified__valid": 1, "classified__payload": bits}
