"""The encoder: writes at any pace, codes and events of the golden model, replays held back."""

from __future__ import annotations

import numpy as np

from hw.encode.classifier import code_layout
from hw.encode.event import event_layout
from hw.encode.vector_encoder import VectorEncoder
from hw.spec.codes import TABLES
from hw.spec.params import CoreConfig, CoreParams
from sw.golden.counters import event_counters
from tests.scenario.player import Phase, Scenario, Sink, Source
from tests.scenario.vectors import Vector, classes, random_vectors

PARAMS = {name: CoreParams(CoreConfig(max_inputs=96, integrator=name)) for name in ("mac", "spike")}


def component(integrator: str) -> VectorEncoder:
    return VectorEncoder(PARAMS[integrator])


def scenario(rng: np.random.Generator, integrator: str, *, vectors: int = 3) -> Scenario:
    """Vectors of odd sizes: replayed for two tiles, twice; encoded again under a replay."""
    params = PARAMS[integrator]
    phases = []
    for vector in random_vectors(rng, vectors):
        phases += _phases(vector, integrator)
    return Scenario(
        sources={"input": Source(idle={"input__en": 0})},
        sinks={
            "classified": Sink(
                valid="classified__valid",
                payload=("classified__payload",),
                meaning=_code,
                ready="classified__ready",
                pauses=False,
            ),
            "events": Sink(
                valid="events__valid",
                payload=("events__payload",),
                meaning=lambda bits: meaning(event_layout(params).from_bits(bits), integrator),
                ready="events__ready",
            ),
        },
        phases=phases,
    )


def _phases(vector: Vector, integrator: str):
    encoded, events = vector.encoded, vector.items(integrator)
    counters = event_counters(encoded)
    after = {name: counters[name] for name in ("spikes", "silent", "integer_events", "steps")}
    after["bases"] = int(encoded.base)
    writes = [
        {"input__en": 1, "input__address": i, "input__data": int(x) & 0xFFFF}
        for i, x in enumerate(vector.x)
    ]
    mode = {
        "inputs": vector.inputs,
        "streamed": vector.inputs,
        "table": TABLES[vector.table].number,
        "constant": vector.constant,
        "threshold": vector.threshold,
        "silent_level": vector.silent,
        "codes": int(vector.codes),
        "tiles": 1,
    }
    done = {"until": "encoded", "after": after}
    codes = {"classified": classes(encoded)}
    twice = Phase(hold={"tiles": 2}, pulse=("replay",), expect={"events": 2 * events})
    write = (
        Phase(hold=mode, send={"input": writes}),
        *(Phase(),) * 3,
    )  # a start comes 4 cycles later
    yield from write
    yield Phase(pulse=("start",), expect=codes, **done)
    yield from (twice, twice)
    yield from write
    yield Phase(pulse=("start",))
    yield Phase(pulse=("replay",), expect=codes | {"events": events}, **done)


def meaning(event, integrator: str) -> dict[str, int]:
    """Fields of an event, those that mean nothing left out as `vectors` does."""
    fields = {name: int(getattr(event, name)) for name in event.shape().members}
    meaningless = {"row", "code", "negative"} if fields["empty"] else set()
    if integrator == "spike" and not fields["ends_group"]:
        meaningless |= {"last_block", "mantissa", "shift", "code_sum"}
    return fields | dict.fromkeys(meaningless & fields.keys(), 0)


def _code(bits: int) -> dict[str, int]:
    code = code_layout().from_bits(bits)
    fields = {name: int(getattr(code, name)) for name in ("value", "level", "integer", "silent")}
    return fields | {"row": int(code.place.row), "ends": int(code.place.last)}
