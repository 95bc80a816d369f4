"""What tokens make a core do: its instructions, and the codes of its vectors."""

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

#: Called with every position that is done.
Report = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction, its elements, and the codes of the vectors that it encodes or multiplies."""

    instruction: Instruction
    count: int
    encoded: Sequence[Encoded] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """A program that was run: its byte address, what for, and what it did, END excluded."""

    program: int
    token: int
    position: int
    steps: Sequence[Step]


def trace_tokens(
    model: ConvertedModel,
    program: DeviceProgram,
    params: CoreParams,
    before: Sequence[int],
    tokens: Sequence[int],
    *,
    report: Report = lambda position: None,
) -> list[Run]:
    """Run what makes one token, or a whole batch.

    Parameters
    ----------
    model : ConvertedModel
        What the program was compiled from.
    program : DeviceProgram
        Programs of a token and of a batch.
    params : CoreParams
        The core that it was compiled for.
    before : sequence of int
        Token ids that are in the caches.
    tokens : sequence of int
        Ids of the token or the batch.
    report : callable
        See :data:`Report`.

    Returns
    -------
    list of Run
        All programs in their order.
    """
    memory = program.memory(params)
    fill_caches(memory, model, program, params, before, report=report)
    steps: list[Step] = []
    interpreter = Interpreter(params, memory, observe=lambda *step: steps.append(Step(*step)))
    position, runs = len(before), []
    for address, token in _programs(program, tokens):
        interpreter.run(address, token=token, position=position)
        runs.append(Run(address, token, position, tuple(steps)))
        steps.clear()
    for number in range(len(tokens)):
        report(position + number)
    return runs


def _programs(program: DeviceProgram, tokens: Sequence[int]) -> list[tuple[int, int]]:
    """Addresses of all programs, and the tokens that they are run for."""
    if len(tokens) == 1:
        return [(program.address, tokens[0])]
    prefill = program.prefill
    assert prefill is not None and len(tokens) == prefill.tokens
    addresses = [*(embedding.address for embedding in prefill.embeddings), prefill.rest.address]
    return list(zip(addresses, [*tokens, tokens[-1]], strict=True))
