"""One instruction is interrupted at random moments in random ways; the next ones must be right."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.codes import TABLES, CodeTable
from hw.spec.formats import W4, W8
from hw.spec.params import CoreParams
from hw.spec.registers import Access, Error, registers_of
from sim.memory import MemoryModel
from sim.verilated import BusError
from tests.rtl.conftest import NARROW, WIDE, WIDE_BUS, Host
from tests.rtl.reference import Matrix

CORES = {"narrow": NARROW, "wide": WIDE, "wide-bus": WIDE_BUS}

START, RESET = 1, 2
STRIKES = ("fail", "reset", "start", "both", "read", "scribble")

#: Longest vector.
LONGEST = 224

#: Cycles after which a core hangs: the slowest memory needs a fifth of it.
BOUND = 1_000_000

_LINEAR = [table for table in TABLES.values() if table.linear]
_SCRIBBLED = ("shape", "weight_base", "mode", "quantizer", "input_address", "output_address")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A matrix, a vector and how they are multiplied."""

    matrix: Matrix
    x: np.ndarray
    table: str
    options: dict

    @classmethod
    def random(cls, rng: np.random.Generator, params: CoreParams) -> Instruction:
        weights = (W4, W8)[rng.integers(2)]
        table = _LINEAR[rng.integers(len(_LINEAR))]
        inputs = int(rng.integers(1, LONGEST + 1))
        per_tile = weights.outputs(params.tile_lanes)
        tiles = int(rng.integers(1, params.max_outputs // per_tile + 1))
        outputs = tiles * per_tile - int(rng.integers(0, 3))
        silent = _silent_level(rng, table)
        beats = tiles * -(-inputs // 32) * weights.group_beats(sums=silent != table.zero)
        room = params.memory_beats - beats * params.sub_tiles
        options = {
            "silent": silent,
            "threshold": int(rng.integers(0, 30)),
            "constant": int(rng.integers(50, 1500)),
            "base": int(rng.integers(0, room // params.alignment + 1)) * params.alignment,
        }
        x = np.rint(rng.laplace(0, 900, inputs)).clip(-32767, 32767).astype(np.int64)
        x[rng.random(inputs) < rng.random()] = 0
        return cls(Matrix.random(rng, weights, outputs, inputs), x, table.name, options)

    @property
    def sums(self) -> bool:
        return self.options["silent"] != TABLES[self.table].zero

    def start(self, host: Host) -> None:
        params = host.params
        image, tiles = self.matrix.image(params.lanes, sums=self.sums, parts=params.sub_tiles)
        host.start(self.x, image, tiles, self.matrix.weights, self.table, **self.options)

    def check(self, host: Host) -> dict[str, int]:
        """Run undisturbed: sums, counters and beats are right, and AXI's rules are kept."""
        before = host.transport.memory_counts()
        counters = host.check(self.matrix, self.x, self.table, **self.options)
        counts = host.transport.memory_counts()
        assert counts.beats - before.beats == host.bus_beats(counters)
        assert counts.violations == 0
        return counters

    def check_outputs(self, host: Host) -> None:
        expected = host.expected(self.matrix, self.x, self.table, **self._quantizer)
        assert list(host.outputs(len(self.matrix.codes))) == expected

    @property
    def _quantizer(self) -> dict:
        return {name: self.options[name] for name in ("silent", "threshold", "constant")}


def run(core: str, integrator: str, seed: int) -> None:
    """Disturb an instruction up to three times; then it and another one must be right."""
    rng = np.random.default_rng(seed)
    host = Host(CORES[core].replace(integrator=integrator), _memory(rng))
    with host.transport:
        for _ in range(rng.integers(1, 4)):
            instruction = Instruction.random(rng, host.params)
            counters = instruction.check(host)
            _interrupt(rng, host, instruction, counters)
            if rng.random() < 0.3:
                _refuse(host)
        instruction.check(host)
        Instruction.random(rng, host.params).check(host)


def _interrupt(rng, host: Host, instruction: Instruction, counters: dict[str, int]) -> None:
    """Start an instruction and let a few strikes follow, one perhaps right behind the other."""
    strikes = list(rng.choice(STRIKES, rng.integers(1, 5)))
    errors = host.transport.memory_counts().errors
    instruction.start(host)
    for strike in strikes:
        moments = max(1, int(counters["cycles"] * rng.choice([0.02, 0.3, 1])))
        host.transport.tick(int(rng.integers(0, moments)))
        if strike == "fail":
            beats = int(rng.integers(0, host.bus_beats(counters)))
            host.transport.fail(beats, int(rng.integers(2, 4)))
        elif strike == "read":
            _read_all(host)
        elif strike == "scribble":
            _scribble(rng, host)
        else:
            host.write("control", {"start": START, "reset": RESET, "both": START | RESET}[strike])
    host.wait(BOUND)
    errors = host.transport.memory_counts().errors - errors
    host.transport.heal()

    status = host.status()
    stopped = {"reset", "both"} & set(strikes)
    if status["done"]:
        assert status["error"] in (Error.NONE, Error.BUSY)
        instruction.check_outputs(host)
    elif status["error"] == Error.RESPONSE:
        assert errors
    else:
        assert stopped
        assert status["error"] in (Error.NONE, Error.BUSY)


def _read_all(host: Host) -> None:
    """Every register answers while the core is busy."""
    for register in registers_of(crossbar=False).values():
        if register.access in (Access.R, Access.RW):
            host.read(register.name)
    host.outputs(1)


def _scribble(rng, host: Host) -> None:
    """Write the registers of the instruction: refused while it runs, and then without effect."""
    for name in rng.permutation(_SCRIBBLED)[: rng.integers(1, 4)]:
        word = int(rng.integers(0, 1 << 32))
        before = host.read(str(name))
        try:
            host.write(str(name), word)
        except BusError:
            assert host.read(str(name)) == before
        else:
            host.write(str(name), before)


def _refuse(host: Host) -> None:
    """A refusal has its own error, whatever came before."""
    host.write("mode", 15)
    host.write("control", START)
    host.wait(100)
    assert host.status() == {"busy": 0, "done": 0, "error": Error.MODE}


def _silent_level(rng, table: CodeTable) -> int:
    if table.masked:
        return int(rng.integers(table.lowest, table.highest + 1))
    return table.silent_level


def _memory(rng) -> MemoryModel:
    return MemoryModel(
        latency=int(rng.choice([1, 2, 7, 30, 80])),
        beat_interval=int(rng.choice([1, 1, 2, 5])),
        granule=1 << int(rng.integers(0, 7)),
        address_cost=int(rng.choice([1, 1, 3, 9])),
        page=1 << int(rng.integers(8, 13)),
        row_miss=int(rng.integers(0, 15)),
        jitter=int(rng.choice([0, 0, 3, 20])),
        seed=int(rng.integers(0, 1 << 20)),
    )
