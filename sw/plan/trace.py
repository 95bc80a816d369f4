"""What one token makes a core do: its instructions, and the codes of its vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import INSTRUCTION_BYTES, Drain, Instruction, Opcode
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
    memory = np.zeros(params.memory_beats * params.words_per_beat, np.uint32)
    octets = memory.view(np.uint8)
    octets[: program.image.size] = program.image
    steps: list[Step] = []
    interpreter = Interpreter(params, memory, observe=lambda *step: steps.append(Step(*step)))
    logits = next(k for k, i in enumerate(program.instructions) if Drain.LOGITS == _drain(i))
    start = program.address + logits * INSTRUCTION_BYTES
    place = slice(start, start + INSTRUCTION_BYTES)
    # Tokens that are given need no logits.
    octets[place] = np.frombuffer(Instruction(Opcode.END).encode(), np.uint8)
    for position, token in enumerate(tokens):
        if position + 1 == len(tokens):
            octets[place] = np.frombuffer(program.instructions[logits].encode(), np.uint8)
        steps.clear()
        interpreter.run(program.address, token=token, position=position)
        report(position)
    return steps


def _drain(instruction: Instruction) -> Drain | None:
    return Drain(instruction["drain"]) if instruction.opcode == Opcode.MATVEC else None
