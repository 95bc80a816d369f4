"""Sequencer: runs a program, instruction after instruction (``docs/program.md``)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.register import plain_register
from hw.sequence.decode import Decode, task_layout
from hw.sequence.layout import instruction_layout, units_layout
from hw.sequence.offset import INDEX_BITS
from hw.sequence.totals import counted_layout
from hw.spec.params import CoreParams
from hw.spec.program import ALL_UNITS, ATTENTION, Opcode, Unit
from hw.spec.registers import Error

#: Opcodes that a unit executes.
EXECUTED = tuple(opcode for opcode in Opcode if opcode != Opcode.END)

#: Units that the host uses, too.
HOST = (Unit.ENCODE.name.lower(), Unit.MATVEC.name.lower())


def starts_layout() -> data.StructLayout:
    """Return a bit for every opcode of :data:`EXECUTED`, by its name in lower case."""
    return data.StructLayout({opcode.name.lower(): 1 for opcode in EXECUTED})


class Sequencer(wiring.Component):
    """Decodes an instruction while those before run; gives it to its unit once it may begin.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    run : In(1)
        Run the program; pulses, only while ``busy`` is low.
    token, position : In(20), In(16)
        What for; stable while ``busy``.
    host : In(struct)
        Instructions ``encode`` and ``matvec`` that the tasks are while no program runs, a cycle
        later: what the host does by itself.
    fetch : Out(1)
        Begin to read the program; pulses.
    instructions : In(stream)
        The program, from its first instruction on.
    starts : Out(struct)
        Begin the task of a unit; see :func:`starts_layout`; one pulses.
    tasks : Out(struct)
        Of every unit; see :func:`hw.sequence.decode.task_layout`; stable to the end of each.
    ended : In(struct)
        A unit has ended its task; pulses, a cycle after its start at the earliest.
    refused, encode_refused : In(8), In(1)
        Why the matrix unit did not take a task that runs, as :class:`hw.spec.registers.Error`;
        that is an ENCODE, not a MATVEC.
    failed : In(struct)
        Device memory has answered a unit with an error.
    unreadable : In(1)
        It has where the next instruction is; pulses, once all before it are taken.
    draining : In(1)
        Something asked of device memory is awaited.
    halt : Out(1)
        Forget all that runs; pulses: the program has ended, or was stopped.
    counted : Out(struct)
        What counts in the totals has ended; each bit pulses. See
        :func:`hw.sequence.totals.counted_layout`.
    number : Out(32)
        Instructions before the one that was reached, or that was at fault.
    fetching : Out(1)
        An instruction is awaited.
    running : Out(struct)
        The units that have a task.
    busy, done : Out(1)
        The program runs; it has ended well since the last ``run``.
    error : Out(8)
        Why it has not.
    cycles : Out(32)
        Clock cycles of the program so far.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        self._began = Signal()
        self._fault = Signal(data.StructLayout({"stops": 1, "error": 8, "number": 32}))
        super().__init__(
            {
                "run": In(1),
                "token": In(INDEX_BITS),
                "position": In(16),
                "host": In(data.StructLayout(dict.fromkeys(HOST, instruction_layout()))),
                "fetch": Out(1),
                "instructions": In(stream.Signature(instruction_layout())),
                "starts": Out(starts_layout()),
                "tasks": Out(units_layout(task_layout())),
                "ended": In(units_layout(1)),
                "refused": In(8),
                "encode_refused": In(1),
                "failed": In(units_layout(1)),
                "unreadable": In(1),
                "draining": In(1),
                "halt": Out(1),
                "counted": Out(counted_layout()),
                "number": Out(32),
                "fetching": Out(1),
                "running": Out(units_layout(1)),
                "busy": Out(1),
                "done": Out(1),
                "error": Out(8),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        """Take, decode, issue; stop where something fails."""
        m = Module()
        m.submodules.decode = decode = Decode(self.params)
        running, ends = self.running, Signal()
        numbers = Signal(units_layout(32), reset_less=True)
        tasks = plain_register(m, self.tasks)
        m.d.comb += [
            decode.instruction.eq(self.instructions.payload),
            decode.token.eq(self.token),
            decode.position.eq(self.position),
        ]
        m.d.sync += [self.starts.eq(0), self.fetch.eq(0), self.halt.eq(0), self._began.eq(0)]
        with m.If(self._began):  # still before the next is decoded
            m.d.sync += self.number.eq(self.number + 1)
        m.d.sync += self.cycles.eq(self.cycles + self.busy)
        m.d.sync += running.eq(running.as_value() & ~self.ended.as_value())
        with m.If(self.unreadable):
            m.d.sync += ends.eq(1)
        waits, own, opcodes = self._wait(m, decode)
        with m.If(~self.busy):
            m.d.sync += [tasks[unit].instruction.eq(self.host[unit]) for unit in HOST]
        self._count(m)
        self._find_fault(m, numbers)

        with m.FSM():
            with m.State("idle"):
                with m.If(self.run):
                    m.d.sync += [
                        self.busy.eq(1),
                        self.done.eq(0),
                        self.error.eq(Error.NONE),
                        self.fetch.eq(1),
                        self.number.eq(0),
                        self.cycles.eq(0),
                        ends.eq(0),
                    ]
                    m.next = "take"

            with m.State("take"):
                m.d.comb += [
                    self.fetching.eq(1),
                    self.instructions.ready.eq(1),
                    decode.takes.eq(1),
                    decode.start.eq(self.instructions.valid),
                ]
                with m.If(self.instructions.valid):
                    m.next = "decode"
                with m.Elif(ends):  # no harm is done if it is not needed
                    m.d.sync += self.error.eq(Error.RESPONSE)
                    m.next = "halt"
                self._stop(m)

            with m.State("decode"):
                with m.If(~decode.busy):
                    m.next = "issue"
                self._stop(m)

            with m.State("issue"):
                with m.If(~waits):
                    with m.If(decode.malformed):
                        m.d.sync += self.error.eq(Error.PROGRAM)
                        m.next = "halt"
                    with m.Elif(decode.task.instruction.opcode == Opcode.END):
                        m.next = "halt"
                    with m.Else():
                        self._begin(m, own, opcodes)
                        m.next = "take"
                self._prepare(m, tasks, decode.task, own, numbers)
                self._stop(m)

            with m.State("halt"):
                m.d.sync += [self.halt.eq(1), running.eq(0)]
                m.next = "settle"

            with m.State("settle"):  # the halt reaches what is to drain
                m.next = "settle more"

            with m.State("settle more"):
                m.next = "drain"

            with m.State("drain"):
                with m.If(~self.draining):
                    m.d.sync += [self.busy.eq(0), self.done.eq(self.error == Error.NONE)]
                    m.next = "idle"
        return m

    def _wait(self, m, decode) -> tuple[Signal, Signal, Signal]:
        """Tell whether a unit runs that the instruction waits for; END and errors wait for all.

        Return the instruction's own unit and its opcode, too, as bits, before the decoding ends.
        """
        instruction, unit = decode.task.instruction, Signal(len(Unit))
        with m.Switch(instruction.opcode):
            for opcode in EXECUTED:
                with m.Case(opcode):
                    m.d.comb += unit.eq(1 << Unit.of(opcode))
        own, opcodes = Signal(len(Unit)), Signal(len(EXECUTED))
        needed, waits = Signal(len(Unit)), Signal()
        m.d.sync += [
            own.eq(unit),
            opcodes.eq(Cat(instruction.opcode == opcode for opcode in EXECUTED)),
            needed.eq(Mux(unit.any(), unit, ALL_UNITS) | instruction.after),
        ]
        needed_now = Mux(decode.malformed, ALL_UNITS, needed)
        m.d.comb += waits.eq((self.running.as_value() & needed_now).any())
        return waits, own, opcodes

    def _prepare(self, m, tasks, task, own, numbers):
        """Give the instruction to its unit, as soon as that has none."""
        for unit in Unit:
            name = unit.name.lower()
            with m.If(own[unit] & ~self.running[name]):
                m.d.sync += [tasks[name].eq(task), numbers[name].eq(self.number)]

    def _begin(self, m, own, opcodes):
        """Start the unit."""
        m.d.sync += [self.starts.eq(opcodes), self._began.eq(1)]
        for unit in Unit:
            with m.If(own[unit]):
                m.d.sync += self.running[unit.name.lower()].eq(1)

    def _stop(self, m):
        """Tell who failed; what follows a failure is what it left behind."""
        with m.If(self._fault.stops & (self.error == Error.NONE)):
            m.d.sync += [
                self.error.eq(self._fault.error),
                self.number.eq(self._fault.number),
                self._began.eq(0),
            ]
            m.next = "halt"

    def _find_fault(self, m, numbers):
        """Tell a cycle later whether a unit failed or refused its task, and which task that was."""
        failed, refused = self.failed.as_value().any(), self.refused != Error.NONE
        m.d.sync += [
            self._fault.stops.eq(failed | refused),
            self._fault.error.eq(Mux(failed, Error.RESPONSE, self.refused)),
            self._fault.number.eq(Mux(self.encode_refused, numbers.encode, numbers.matvec)),
        ]
        for unit in (unit.name.lower() for unit in Unit):
            with m.If(self.failed[unit]):
                m.d.sync += self._fault.number.eq(numbers[unit])

    def _count(self, m):
        """Tell when events, or reads of weights, have been counted that are to be added."""
        encode, matvec = self.tasks.encode.instruction, self.tasks.matvec.instruction
        m.d.comb += [
            self.counted.encode.eq(self.ended.encode & ~encode.uncounted),
            self.counted.matvec.eq(self.ended.matvec & ~matvec.drain.matches(*ATTENTION)),
        ]
