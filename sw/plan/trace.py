"""What one token makes a core do: its instructions, and the codes of its vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.golden.codes import Encoded
from sw.golden.program import Interpreter
from sw.plan.caches import fill_caches


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction, its elements, and the codes of the vectors that it encodes or multiplies."""

    instruction: Instruction
    count: int
    encoded: Sequence[Encoded] = ()


def trace_token(
    model: ConvertedModel,
    program: DeviceProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    report: Callable[[int], None] = lambda position: None,
) -> list[Step]:
    """Run a program for the last of some tokens; tell what it did, END excluded.

    Parameters
    ----------
    model : ConvertedModel
        What the program was compiled from.
    program : DeviceProgram
        The program.
    params : CoreParams
        The core that it was compiled for.
    tokens : sequence of int
        Token ids; those before the last one are in the caches.
    report : callable
        Called with every position that is done.
    """
    *before, token = tokens
    memory = program.memory(params)
    fill_caches(memory, model, program, params, before, report=report)
    steps: list[Step] = []
    interpreter = Interpreter(params, memory, observe=lambda *step: steps.append(Step(*step)))
    interpreter.run(program.address, token=token, position=len(before))
    report(len(before))
    return steps
