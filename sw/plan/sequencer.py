"""The sequencer: when each instruction of a token is issued, and what it then costs."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.formats import FORMATS
from hw.spec.params import CoreParams
from hw.spec.program import ATTENTION, Drain, Index, Instruction, Opcode, mode
from hw.spec.token_cycles import (
    decode_cycles,
    embed_cycles,
    feed_cycles,
    rotate_cycles,
    softmax_cycles,
)
from sw.golden.machine import moved
from sw.plan.bus import Bus, Manager, Timing
from sw.plan.cost import TokenCost
from sw.plan.load import Load
from sw.plan.matrix import Multiply, Product
from sw.plan.program_fetch import ProgramFetch
from sw.plan.reads import Reads
from sw.plan.store import store_cycles
from sw.plan.trace import Step
from sw.plan.vector import VectorCost

#: Cycles from the issue of END until the core is idle.
_HALT = 5

_WAITING = "sequencer"


def token_cost(
    steps: Sequence[Step],
    params: CoreParams,
    timing: Timing,
    *,
    token: int,
    position: int,
    program: int,
) -> TokenCost:
    """Cost of a token.

    Parameters
    ----------
    steps : sequence of Step
        What it does.
    params : CoreParams
        The core.
    timing : Timing
        Its memory.
    token, position : int
        The token and where it stands.
    program : int
        Byte address of the program.
    """
    sequencer = Sequencer(params, timing, token=token, position=position, program=program)
    for step in steps:
        sequencer.run(step)
    return sequencer.end()


class Sequencer:
    """Issues instructions one after the other; LOADs run beside the others.

    Parameters
    ----------
    params : CoreParams
        The core.
    timing : Timing
        Its memory.
    token, position : int
        The token and where it stands.
    program : int
        Byte address of the program.
    """

    def __init__(
        self, params: CoreParams, timing: Timing, *, token: int, position: int, program: int
    ) -> None:
        self._params, self._timing = params, timing
        self._index = {Index.NONE: 0, Index.TOKEN: token, Index.POSITION: position}
        self._octets = params.axi_data_width // 8
        self._bus = Bus(timing, beat_bytes=self._octets)
        self._fetch = ProgramFetch(params, self._bus, program)
        self._reads = Reads(params)
        self._vector: VectorCost | None = None
        self._multiply: tuple[Manager, Multiply, bool] | None = None
        self._load: tuple[Manager, Load] | None = None
        self._kind = _WAITING  # what runs
        self._free, self._loaded = 0, 0  # cycles from which another may be issued
        self._ready = 0  # cycle from which the next instruction may be taken
        self._accounted = 0
        self._cost = TokenCost()

    def run(self, step: Step) -> None:
        """Take, decode and issue an instruction."""
        i = step.instruction
        index = self._index[Index(i["index"])]
        decoded = self._fetch.take(self._ready) + decode_cycles(index)
        if i.opcode == Opcode.LOAD:
            self._await_load()
            issued = max(decoded, self._loaded)
            self._start_load(step, issued + 1, index)
        else:
            issued = self._await_all(decoded)
            self._start(step, issued + 1)
        self._ready = issued + 1

    def end(self) -> TokenCost:
        """Return the cost when all has ended."""
        cost = self._cost
        decoded = self._fetch.take(self._ready) + decode_cycles(0)
        cost.cycles = self._await_all(decoded) + _HALT
        self._account(_WAITING, cost.cycles)
        cost.kinds[_WAITING].octets = self._fetch.beats * self._octets
        cost.beats, cost.octets = self._bus.beats, self._bus.beats * self._octets
        cost.useful_beats = self._reads.useful_beats
        cost.silent_share = self._reads.silent_share
        return cost

    def _account(self, kind: str, until: int) -> None:
        """Ascribe the cycles that nothing has been ascribed to."""
        self._cost.kinds[kind].cycles += max(0, until - self._accounted)
        self._accounted = max(self._accounted, until)

    def _await_load(self) -> None:
        if self._load is None:
            return
        manager, load = self._load
        self._bus.finish(manager)
        self._load, self._loaded = None, load.end + 1
        self._cost.kinds[Opcode.LOAD.name].octets += manager.beats * self._octets
        self._reads.load(load.useful)

    def _await_all(self, decoded: int) -> int:
        """Cycle in which an instruction is issued that nothing may run beside."""
        if self._multiply is not None:
            manager, multiply, counted = self._multiply
            self._bus.finish(manager)
            self._multiply, self._free = None, multiply.end + 1
            self._cost.kinds[self._kind].octets += manager.beats * self._octets
            for name, cycles in multiply.stalls.items():
                self._cost.stalls[name] += cycles * counted
        self._await_load()
        self._account(self._kind, self._free)
        self._account(Opcode.LOAD.name, self._loaded)
        self._account(_WAITING, decoded)
        return max(decoded, self._free, self._loaded)

    def _start_load(self, step: Step, start: int, index: int) -> None:
        i = step.instruction
        load = Load(
            self._params,
            i,
            count=step.count,
            origin=moved(i["address"], i, index),
            start=start,
            granted=self._free if self._kind == Opcode.EMBED.name else 0,
        )
        self._load = self._bus.start(load.requests()), load
        self._cost.kinds[Opcode.LOAD.name].count += 1

    def _start(self, step: Step, start: int) -> None:
        i = step.instruction
        self._kind = i.opcode.name
        if i.opcode == Opcode.MATVEC:
            drain = Drain(i["drain"])
            self._kind += f" {drain.name.lower()}"
            product = self._product(step)
            multiply = Multiply(self._params, product, start=start)
            manager = self._bus.start(multiply.requests())
            self._multiply = manager, multiply, drain not in ATTENTION
            self._reads.multiply(product, drain=drain)
        else:
            self._free = start + self._unit_cycles(i, step.count) + 1
        self._cost.kinds[self._kind].count += 1

    def _unit_cycles(self, i: Instruction, count: int) -> int:
        """Cycles of an instruction that multiplies no matrix."""
        width = self._params.vector_width
        match i.opcode:
            case Opcode.EMBED:
                return embed_cycles(count)
            case Opcode.ROTATE:
                return rotate_cycles(count * i["inner"])
            case Opcode.KEEP:
                mantissas = -(-count // i["inner"]) if i["keys"] else 0
                return store_cycles(count, count + mantissas + 2, latency=self._timing.latency)
            case Opcode.SOFTMAX:
                return softmax_cycles(count, width)
        return feed_cycles(i.opcode, count, width)

    def _product(self, step: Step) -> Product:
        """Describe a MATVEC; its vector costs where it is encoded."""
        i, fields = step.instruction, mode(step.instruction)
        assert step.encoded is not None
        if not i["reuse"] or self._vector is None:
            self._vector = VectorCost.of(step.encoded, self._params, fixed=bool(fields["fixed"]))
        length = self._index[Index.POSITION] + 1
        return Product(
            vector=self._vector,
            layout=next(f for f in FORMATS.values() if f.number == fields["format"]),
            sums=bool(fields["sums"]),
            inputs=step.encoded.inputs,
            tiles=-(-length // (1 << i["shift"])) if i["tiles_by_position"] else i["tiles"],
            address=i["weight_base"] * self._params.beat_bits // 8,
            outputs=step.count,
            reuse=bool(i["reuse"]),
        )
