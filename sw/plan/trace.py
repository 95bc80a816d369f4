"""What one token makes a core do: its instructions, and the codes of its vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Drain, Instruction, Opcode
from sw.compile.program import DeviceProgram
from sw.golden.codes import Encoded
from sw.golden.program import Interpreter


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction, its elements, and after a MATVEC the codes of its vector."""

    instruction: Instruction
    count: int
    encoded: Encoded | None


def trace_token(
    program: DeviceProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    report: Callable[[int], None] = lambda position: None,
) -> list[Step]:
    """Run a program on the golden model; tell what it did for the last token, END excluded.

    Parameters
    ----------
    program : DeviceProgram
        Model and program.
    params : CoreParams
        The core that it was compiled for.
    tokens : sequence of int
        Token ids; those before the last one fill the caches.
    report : callable
        Called with every position that is done.
    """
    steps: list[Step] = []
    interpreter = Interpreter(
        params, program.memory(params), observe=lambda *step: steps.append(Step(*step))
    )
    logits = next(k for k, i in enumerate(program.instructions) if Drain.LOGITS == _drain(i))
    for position, token in enumerate(tokens):
        steps.clear()
        # Tokens that are given need no logits.
        until = None if position + 1 == len(tokens) else logits
        interpreter.run(program.address, token=token, position=position, until=until)
        report(position)
    return steps


def _drain(instruction: Instruction) -> Drain | None:
    return Drain(instruction["drain"]) if instruction.opcode == Opcode.MATVEC else None
