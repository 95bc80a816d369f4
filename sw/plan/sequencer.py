"""The sequencer: when each instruction of a token is issued, and what it then costs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hw.spec.formats import FORMATS
from hw.spec.params import CoreParams
from hw.spec.program import ALL_UNITS, ATTENTION, Drain, Index, Instruction, Opcode, Unit, mode
from hw.spec.token_cycles import decode_cycles
from sw.golden.machine import moved
from sw.plan.bus import Bus, Manager, Requests, Timing
from sw.plan.cost import TokenCost
from sw.plan.encoder import Encoder
from sw.plan.load import Load
from sw.plan.matrix import Multiply, Product
from sw.plan.path import SEQUENCER, Issued, waited
from sw.plan.program_fetch import ProgramFetch
from sw.plan.reads import Reads
from sw.plan.trace import Run, Step
from sw.plan.units import vector_cycles

#: Cycles from the issue of END until the core is idle.
_HALT = 5

#: Instructions of the vector unit that write words in every cycle.
_WRITING = (Opcode.EMBED.name, Opcode.ROTATE.name)


class Work(Protocol):
    """What a unit executes, until the cycle ``end``."""

    @property
    def end(self) -> int:
        """Right once all that it asks of memory has come."""
        ...


class _Fixed(NamedTuple):
    """Work that no memory hinders."""

    end: int


class _Running(NamedTuple):
    """An instruction in its unit; its end is known once ``manager`` needs no more."""

    issued: Issued
    work: Work
    manager: Manager | None


def run_cost(run: Run, params: CoreParams, timing: Timing) -> TokenCost:
    """Predict what a run of a program costs.

    Parameters
    ----------
    run : Run
        What it does.
    params : CoreParams
        The core.
    timing : Timing
        Its memory.
    """
    sequencer = Sequencer(
        params, timing, token=run.token, position=run.position, program=run.program
    )
    for step in run.steps:
        sequencer.run(step)
    return sequencer.end()


class Sequencer:
    """Issues instructions one after the other; units execute them beside each other.

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
        self._token, self._position = token, position
        self._octets = params.axi_data_width // 8
        self._bus = Bus(timing, beat_bytes=self._octets)
        self._fetch = ProgramFetch(params, self._bus, program)
        self._encoder = Encoder(params)
        self._reads = Reads(params)
        self._running: dict[Unit, _Running] = {}
        self._free: dict[Unit, tuple[int, Issued]] = {}  # since when, and after what
        self._last: Issued | None = None
        self._cost = TokenCost()

    def run(self, step: Step) -> None:
        """Take, decode and issue an instruction."""
        i = step.instruction
        unit, index = Unit.of(i.opcode), self._index(i)
        issued = self._issue(_kind(i), i["after"] | 1 << unit, decode_cycles(index))
        self._cost.kinds[issued.kind].count += 1
        start = issued.cycle + 1
        work, requests = self._start(step, unit, start, index)
        manager = self._bus.start(requests) if requests else None
        self._running[unit] = _Running(issued, work, manager)

    def end(self) -> TokenCost:
        """Return the cost when all has ended."""
        cost = self._cost
        last = self._issue(Opcode.END.name, ALL_UNITS, decode_cycles(0))
        cost.cycles = last.cycle + _HALT
        for kind, cycles in waited(last).items():
            cost.kinds[kind].cycles = cycles
        cost.kinds[SEQUENCER].cycles += _HALT
        self._fetch.end()
        self._bus.advance(last.cycle)  # what is behind END is fetched, too
        cost.kinds[SEQUENCER].octets = self._fetch.beats * self._octets
        cost.beats, cost.octets = self._bus.beats, self._bus.beats * self._octets
        cost.useful_beats = self._reads.useful_beats
        cost.products = self._reads.products
        cost.silent_products = self._reads.silent_products
        return cost

    def _index(self, i: Instruction) -> int:
        """Token or position by which the addresses of an instruction move."""
        position = self._position + i["ahead"]
        moving = {Index.NONE: 0, Index.TOKEN: self._token, Index.POSITION: position}
        return moving[Index(i["index"])]

    def _issue(self, kind: str, units: int, decode: int) -> Issued:
        """Wait until an instruction is decoded, and units, bits by their numbers, are free."""
        ready = self._last.cycle + 1 if self._last else 0
        issued = Issued(kind, self._fetch.take(ready) + decode, self._last, ended=False)
        for unit in Unit:
            if units >> unit & 1:
                self._await(unit)
                free, after = self._free.get(unit, (0, None))
                if free > issued.cycle:
                    issued = Issued(kind, free, after, ended=True)
        self._last = issued
        return issued

    def _await(self, unit: Unit) -> None:
        """Let the bus serve all until what the unit executes has ended."""
        running = self._running.pop(unit, None)
        if running is None:
            return
        kind = self._cost.kinds[running.issued.kind]
        if running.manager is not None:
            self._bus.finish(running.manager)
            kind.octets += running.manager.beats * self._octets
        work, issued = running.work, running.issued
        free = work.end + 1
        kind.busy += free - issued.cycle
        self._free[unit] = free, issued
        if isinstance(work, Load):
            self._reads.load(work.useful)
        if isinstance(work, Multiply) and work.counted:
            for name, cycles in work.stalls.items():
                self._cost.stalls[name] += cycles

    def _start(
        self, step: Step, unit: Unit, start: int, index: int
    ) -> tuple[Work, Requests | None]:
        """Begin an instruction; return its work, and what it asks of memory."""
        i = step.instruction
        match unit:
            case Unit.LOAD:
                load = self._load(step, start, index)
                return load, load.requests()
            case Unit.ENCODE:
                (encoded,) = step.encoded
                return _Fixed(self._encoder.encode(i, encoded, start=start)), None
            case Unit.MATVEC:
                product = self._product(step)
                self._reads.multiply(product)
                multiply = Multiply(self._params, product, start=start)
                return multiply, multiply.requests()
        latency = self._timing.latency
        return _Fixed(start + vector_cycles(i, step.count, self._params, latency=latency)), None

    def _load(self, step: Step, start: int, index: int) -> Load:
        i, vector = step.instruction, self._running.get(Unit.VECTOR)
        writes = vector is not None and vector.issued.kind in _WRITING
        return Load(
            self._params,
            i,
            count=step.count,
            origin=moved(i["address"], i, index),
            start=start,
            granted=vector.work.end if vector and writes else 0,
        )

    def _product(self, step: Step) -> Product:
        """Describe a MATVEC."""
        i, fields = step.instruction, mode(step.instruction)
        length = self._position + i["ahead"] + 1
        numbers = range(i["vector"], i["vector"] + i["vectors"])
        return Product(
            vectors=[self._encoder.vectors[number] for number in numbers],
            bank=self._encoder.banks[i["bank"]],
            layout=next(f for f in FORMATS.values() if f.number == fields["format"]),
            sums=bool(fields["sums"]),
            counted=i["drain"] not in ATTENTION,
            inputs=length if i["inputs_by_position"] else i["inputs"],
            tiles=-(-length // (1 << i["shift"])) if i["tiles_by_position"] else i["tiles"],
            address=i["weight_base"] * self._params.beat_bits // 8,
            outputs=step.count,
        )


def _kind(i: Instruction) -> str:
    """Name of instructions like this one."""
    if i.opcode == Opcode.MATVEC:
        return f"{i.opcode.name} {Drain(i['drain']).name.lower()}"
    return i.opcode.name
