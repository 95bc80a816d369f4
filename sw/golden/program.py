"""Runs device programs (``docs/program.md``) in exact integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count as count_from
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.spec.program import (
    INSTRUCTION_BYTES,
    Drain,
    Instruction,
    Opcode,
)
from hw.spec.registers import COUNTERS, Error
from sw.golden import encoder_vector, vector
from sw.golden.attention import probabilities, weigh
from sw.golden.cache import code_heads
from sw.golden.codes import Encoded
from sw.golden.engine import Engine
from sw.golden.integers import WORD, normalize
from sw.golden.machine import Machine, ProgramError
from sw.golden.products import Products


class Best(NamedTuple):
    """One of the largest logits, 12 fraction bits."""

    id: int
    logit: int


#: Stands in places that no logit has taken.
NOTHING = Best(0, -(1 << WORD - 1))

#: Called after an instruction, with its elements and the codes of the vectors that it encoded or
#: multiplied.
Observer = Callable[[Instruction, int, Sequence[Encoded]], None]

_HALF = 1 << 15


class Interpreter:
    """A core that runs programs.

    Parameters
    ----------
    params : CoreParams
        The core, with vector memory.
    memory : ndarray
        Device memory, uint32, ``words_per_beat`` for each beat; caches are written there.
    observe : callable, optional
        See :data:`Observer`.

    Attributes
    ----------
    best : list of Best
        ``params.best`` largest logits of the last token, the largest first; lower ids first among
        equals.
    counters : dict of str to int
        Totals of the last token over the matrices of weights; what only hardware counts is 0.
    instruction : int
        Number of the instruction that was reached.
    """

    def __init__(
        self, params: CoreParams, memory: np.ndarray, *, observe: Observer | None = None
    ) -> None:
        self.params = params
        self._observe = observe
        self._machine = Machine(params, memory)
        self._products = Products(Engine(params, memory), self._machine)
        self._logits: list[Tensor] = []
        self.best = [NOTHING] * params.best
        self.instruction = 0

    @property
    def words(self) -> Tensor:
        """Vector memory, int64."""
        return self._machine.words

    @property
    def counters(self) -> dict[str, int]:
        """Totals of the last token."""
        return {name: self._machine.counters[name] for name in COUNTERS}

    def run(self, program: int, *, token: int, position: int, until: int | None = None) -> None:
        """Run the program at a byte address for one token, or until an instruction's number.

        Raises
        ------
        ProgramError
            If the core would stop it; ``instruction`` tells where.
        """
        machine = self._machine
        machine.token, machine.position = token, position
        machine.counters.clear()
        self._logits, self.instruction = [], 0
        while self.instruction != until:
            instruction = self._fetch(program + self.instruction * INSTRUCTION_BYTES)
            if instruction.opcode == Opcode.END:
                return
            machine.check(instruction)
            count = machine.count(instruction)
            self._execute(instruction, count)
            if self._observe:
                coded = instruction.opcode in (Opcode.ENCODE, Opcode.MATVEC)
                vectors = self._products.vectors(instruction) if coded else ()
                self._observe(instruction, count, vectors)
            self.instruction += 1

    def _fetch(self, address: int) -> Instruction:
        octets = self._machine.fetch(np.arange(address, address + INSTRUCTION_BYTES))
        try:
            return Instruction.decode(octets.tobytes())
        except ValueError:
            raise ProgramError(Error.PROGRAM) from None

    def _execute(self, instruction: Instruction, count: int) -> None:
        actions = {
            Opcode.LOAD: self._load,
            Opcode.EMBED: self._embed,
            Opcode.NORM: self._norm,
            Opcode.NORMALIZE: self._normalize,
            Opcode.GATE: self._gate,
            Opcode.MATVEC: self._matvec,
            Opcode.ROTATE: self._rotate,
            Opcode.KEEP: self._keep,
            Opcode.SOFTMAX: self._softmax,
            Opcode.ENCODE: self._encode,
            Opcode.LAYER_NORM: self._layer_norm,
            Opcode.SUM: self._sum,
            Opcode.GELU: self._gelu,
        }
        actions[instruction.opcode](instruction, count)

    def _load(self, i: Instruction, count: int) -> None:
        addresses = self._machine.elements(i, count)
        words = self._machine.fetch(addresses) ^ (8 if i["nibbles"] else 0)
        if i["size"] == 1:
            values = words.view(np.int8).astype(np.int64)
        else:
            high = self._machine.fetch(addresses + 1).view(np.int8)
            values = words + (high.astype(np.int64) << 8)
        self._machine.write(i["target"], torch.from_numpy(values))

    def _embed(self, i: Instruction, count: int) -> None:
        machine = self._machine
        mantissas = machine.read(i["b"], -(-count // BLOCK)).repeat_interleave(BLOCK)
        row = machine.read(i["a"], count) * mantissas[:count]
        exponent = machine.words[i["c"]]
        machine.write(i["target"], vector.embed(row, exponent, fraction=i["constant"]))

    def _norm(self, i: Instruction, count: int) -> None:
        machine = self._machine
        h = machine.read(i["a"], count)
        self._give(i, h * machine.read(i["b"], count))
        epsilon = i["epsilon_low"] + (i["epsilon_high"] << 32)
        root = vector.Scaled(i["multiplier"], 0)
        multiplier, u = vector.inverse_rms(h, epsilon=epsilon, root=root)
        machine.multiplier[i["vector"]], machine.u[i["vector"]] = multiplier, u

    def _normalize(self, i: Instruction, count: int) -> None:
        self._give(i, self._machine.read(i["a"], count))

    def _gate(self, i: Instruction, count: int) -> None:
        g, u = (self._machine.read(i[name], count) for name in "ab")
        self._give(i, vector.gate(g, u))

    def _gelu(self, i: Instruction, count: int) -> None:
        self._give(i, encoder_vector.gelu(self._machine.read(i["a"], count)))

    def _layer_norm(self, i: Instruction, count: int) -> None:
        h, gamma, beta = (self._machine.read(i[name], count) for name in "abc")
        normed = encoder_vector.layer_norm(
            h,
            gamma,
            beta,
            epsilon=i["epsilon_low"],
            root=vector.Scaled(i["multiplier"], 0),
            mean=vector.Scaled(i["mean"], -i["mean_shift"]),
            constant=i["constant"],
        )
        self._machine.write(i["target"], normed)

    def _sum(self, i: Instruction, count: int) -> None:
        starts = (i["a"] + row * i["stride"] for row in range(i["inner"]))
        rows = torch.stack([self._machine.read(start, count) for start in starts])
        words = encoder_vector.sum_rows(rows, i["multiplier"], i["constant"])
        self._machine.write(i["target"], words)

    def _give(self, i: Instruction, y: Tensor) -> None:
        x, self._machine.n[i["vector"]] = normalize(y)
        self._machine.give(x)

    def _encode(self, i: Instruction, count: int) -> None:
        self._products.encode(i)

    def _matvec(self, i: Instruction, count: int) -> None:
        words = self._products.multiply(i, count)
        if i["drain"] == Drain.LOGITS:
            self._choose(words[0], final=bool(i["final"]))
            return
        for word, start in zip(words, count_from(i["target"], i["stride"]), strict=False):
            self._machine.write(start, word)

    def _choose(self, logits: Tensor, *, final: bool) -> None:
        self._logits.append(logits)
        if final:
            found = torch.cat(self._logits)
            ids = torch.sort(found, descending=True, stable=True).indices[: self.params.best]
            self.best = [Best(id, int(found[id])) for id in ids.tolist()]
            self.best += [NOTHING] * (self.params.best - len(self.best))

    def _rotate(self, i: Instruction, count: int) -> None:
        machine, pairs = self._machine, i["inner"]
        heads = machine.read(i["a"], 2 * pairs * count).view(1, count, -1)
        rotary = torch.stack([machine.read(i[name], pairs) for name in "cb"], -1)
        turned = vector.rotate(heads, rotary[None], interleaved=bool(i["interleaved"]))
        machine.write(i["a"], turned.flatten())

    def _keep(self, i: Instruction, count: int) -> None:
        machine = self._machine
        coded = code_heads(machine.read(i["a"], count))
        scale = np.array([int(coded.mantissa), int(coded.exponent)])
        machine.store(machine.elements(i, count), coded.codes.numpy() ^ 8)
        if i["keys"]:
            groups = np.arange(-(-count // i["inner"])) * i["outer_stride"]
            machine.store(machine.moved(i["mantissas"], i, groups), scale[:1])
        place = i["scales"] + 2 * (machine.position + i["ahead"])
        machine.store(place + np.arange(2), scale)

    def _softmax(self, i: Instruction, count: int) -> None:
        machine = self._machine
        p = probabilities(machine.read(i["a"], count), torch.ones(count, dtype=torch.bool))
        scales = machine.read(i["b"], count)
        mantissa, exponent = scales & 255, scales >> 8
        ev = exponent.amax(-1, keepdim=True)
        weighted = (p * mantissa) >> (ev - exponent).clamp_max(31)
        codes, gain, shift = weigh(weighted, p.sum(-1, keepdim=True), ev)
        machine.gain[i["vector"]], machine.context_shift[i["vector"]] = gain, shift
        machine.give(codes)
