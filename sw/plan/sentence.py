"""What a sentence makes a core do, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from sw.compile.encoder_program import EncoderProgram
from sw.golden.codes import Encoded
from sw.golden.program import Interpreter
from sw.plan.bus import Timing
from sw.plan.cost import TokenCost
from sw.plan.sequencer import run_cost
from sw.plan.trace import Run, Step


def trace_sentence(
    program: EncoderProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    report: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Run what encodes a sentence.

    Parameters
    ----------
    program : EncoderProgram
        Model and programs.
    params : CoreParams
        The core that they were compiled for.
    tokens : sequence of int
        Ids, 1 to ``program.context`` of them.
    report : callable
        Called after every instruction.

    Returns
    -------
    list of Run
        All programs in their order.
    """
    sentence, memory = program.sentence(len(tokens)), program.memory()
    memory.view(np.uint8)[program.address :][: len(sentence.octets)] = sentence.octets
    steps: list[Step] = []

    def observe(instruction: Instruction, count: int, encoded: Sequence[Encoded]) -> None:
        steps.append(Step(instruction, count, encoded))
        report()

    interpreter = Interpreter(params, memory, observe=observe)
    programs, runs = [*sentence.programs.embeddings, sentence.programs.rest], []
    for placed, token in zip(programs, [*tokens, tokens[-1]], strict=True):
        interpreter.run(placed.address, token=token, position=0)
        runs.append(Run(placed.address, token, 0, tuple(steps)))
        steps.clear()
    return runs


def sentence_costs(
    program: EncoderProgram,
    params: CoreParams,
    tokens: Sequence[int],
    timing: Timing,
    *,
    report: Callable[[], None] = lambda: None,
) -> list[TokenCost]:
    """Predict the cost of each program of a sentence; arguments as :func:`trace_sentence`."""
    runs = trace_sentence(program, params, tokens, report=report)
    return [run_cost(run, params, timing) for run in runs]
