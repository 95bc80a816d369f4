"""Small models and cores for device programs."""

from __future__ import annotations

import dataclasses

from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import INSTRUCTION_BYTES
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.golden.decoder import GoldenModel
from sw.golden.program import Interpreter
from tests.unit.golden.models import TINY, random_model


def small_core(**changes) -> CoreParams:
    """Room for the models below; their wide matrices take several instructions."""
    outputs = 48 * max(changes.get("batch", 1), 2)
    config = CoreConfig(
        lanes=8,
        tile_lanes=32,
        memory="axi",
        memory_beats=1 << 16,
        max_inputs=128,
        max_outputs=outputs,
        vector_words=2048,
        hole=3,
    )
    return CoreParams(config.replace(**changes))


def small_model(seed: int, **changes) -> ConvertedModel:
    """Two key heads of three query heads each; odd sizes where the hardware allows them."""
    shape = {"head_width": 20, "width": 45, "ffn_width": 76, "context": 41}
    return random_model(dataclasses.replace(TINY, **shape | changes), seed)


def with_silent_levels(model: ConvertedModel, table: str, level: int) -> ConvertedModel:
    """Change the silent level of some tensors, so that their matrices need row sums."""
    quantizers = {tensor: dict(tables) for tensor, tables in model.quantizers.items()}
    for tensor in ("layers.0.attn_q", "layers.1.ffn_down", "head"):
        quantizers[tensor][table] = dataclasses.replace(
            quantizers[tensor][table], silent_level=level
        )
    return dataclasses.replace(model, quantizers=quantizers)


def golden_of(
    model: ConvertedModel, params: CoreParams, *, table: str | None = None, batch: int = 1
) -> GoldenModel:
    """Golden model that predicts the reads of a core."""
    return GoldenModel(
        model,
        table=table,
        lanes=params.lanes,
        tile_lanes=params.tile_lanes,
        integrator=params.integrator,
        memory="axi",
        hole=params.hole,
        batch=batch,
    )


def best_of(logits, count: int) -> list[tuple[int, int]]:
    """Largest logits, lower ids first among equals; places left over have the least word."""
    values = logits.tolist()
    ids = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    return [(i, values[i]) for i in ids] + [(0, -(1 << 23))] * (count - len(ids))


def assert_tokens_equal(
    program: DeviceProgram, model: ConvertedModel, params: CoreParams, tokens: list[int]
) -> None:
    """Run tokens by the program and by the golden model; logits and counters must be equal."""
    interpreter = Interpreter(params, program.memory(params))
    golden = golden_of(model, params, table=program.table)
    for position, token in enumerate(tokens):
        golden.golden.reset()
        expected = best_of(golden.step(token), params.best)
        interpreter.run(program.address, token=token, position=position)
        assert interpreter.best == expected, f"position {position}"
        counted = {n: c for n, c in golden.counters.items() if c is not None}
        found = interpreter.counters | {n: counted[n] for n in ("window_steps", "bound_cycles")}
        assert {name: found[name] for name in counted} == counted
    ends = [i for i, each in enumerate(program.instructions) if each.opcode == 0]
    assert ends == [len(program.instructions) - 1] == [interpreter.instruction]
    assert len(program.image) == program.address + INSTRUCTION_BYTES * len(program.instructions)
