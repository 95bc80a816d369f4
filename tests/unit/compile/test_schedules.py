"""Programs whose instructions end as late as they may give the same tokens."""

import numpy as np
import pytest
import torch

from hw.spec.program import Instruction, Opcode, Unit
from sw.compile.program import compile_program
from sw.compile.stream import compile_stream
from sw.golden.program import Interpreter
from tests.unit.compile.programs import best_of, golden_of, small_core, small_model

torch.set_num_threads(1)

TOKENS = [7, 0, 52, 19, 33, 33, 2, 50, 11, 40, 8]


class LateInterpreter(Interpreter):
    """Executes an instruction at any time until something waits for its unit.

    Parameters
    ----------
    seed : int
        Seed of the times.
    late : float
        Chance that an instruction is not executed when another begins.
    """

    def __init__(self, params, memory, *, seed: int, late: float):
        super().__init__(params, memory)
        self._rng, self._late = np.random.default_rng(seed), late
        self._pending: dict[Unit, tuple[Instruction, int]] = {}

    def run(self, program, *, token, position, until=None):
        super().run(program, token=token, position=position, until=until)
        for unit in self._rng.permutation(list(Unit)):
            self._end(Unit(unit))

    def _execute(self, instruction: Instruction, count: int) -> None:
        own = Unit.of(instruction.opcode)
        for unit in self._rng.permutation(list(Unit)):
            awaited = instruction["after"] >> int(unit) & 1 or unit == own
            if awaited or self._rng.random() >= self._late:
                self._end(Unit(unit))
        self._pending[own] = instruction, count

    def _end(self, unit: Unit) -> None:
        if unit not in self._pending:
            return
        instruction, count = self._pending.pop(unit)
        if unit == Unit.MATVEC and Unit.ENCODE in self._pending:
            encode, _ = self._pending[Unit.ENCODE]
            if encode["vector"] == instruction["vector"] + instruction["vectors"] - 1:
                self._end(Unit.ENCODE)
        super()._execute(instruction, count)


@pytest.mark.parametrize("late", [1.0, 0.6, 0.2])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 6, 9])
def test_tokens(batch, late):
    """One by one, and several at once behind them."""
    model, params = small_model(1), small_core(batch=batch, vector_words=4096)
    program = compile_program(model, params, name="x")
    golden = golden_of(model, params)
    core = LateInterpreter(params, program.memory(params), seed=batch, late=late)
    for position, token in enumerate(TOKENS[:2]):
        core.run(program.address, token=token, position=position)
        assert core.best == best_of(golden.step(token), params.best)
    if program.prefill:
        tokens = TOKENS[2 : 2 + program.batch]
        for token, embedding in zip(tokens, program.prefill.embeddings, strict=True):
            core.run(embedding.address, token=token, position=2)
        core.run(program.prefill.rest.address, token=0, position=2)
        assert core.best == best_of(golden.prefill(tokens)[-1], params.best)


def test_waits_are_what_makes_them_equal():
    """Without those for LOADs the same schedule gives others."""
    model, params = small_model(1), small_core(batch=6)
    program = compile_program(model, params, name="x")
    memory = program.memory(params)
    octets = memory.view(np.uint8)[program.address :]
    for number in range(len(program.instructions)):
        octets[64 * number + 3] &= 0xFE
    assert program.instructions[3]["after"] == 1 << Unit.LOAD
    assert Instruction.decode(octets[64 * 3 :].tobytes())["after"] == 0
    expected = best_of(golden_of(model, params).step(7), params.best)
    core = LateInterpreter(params, memory, seed=1, late=1.0)
    core.run(program.address, token=7, position=0)
    assert core.best != expected


def test_streamed_layers_wait_alike():
    """Alone, each layer loads for itself; nothing is loaded for the next."""
    model, params = small_model(1), small_core(batch=6)
    program = compile_stream(model, params, name="x")
    loads = [sum(i.opcode == Opcode.LOAD for i in layer.instructions) for layer in program.layers]
    assert loads == [2 + 4 + 2 * 2] * 2
