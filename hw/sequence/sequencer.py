"""Sequencer: runs a program, instruction after instruction (``docs/program.md``)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.decode import Decode, task_layout
from hw.sequence.layout import instruction_layout
from hw.sequence.offset import INDEX_BITS
from hw.spec.params import CoreParams
from hw.spec.program import ATTENTION, Opcode
from hw.spec.registers import Error

#: Opcodes that a unit of the vector unit, or the matrix engine, executes, one at a time.
EXECUTED = tuple(opcode for opcode in Opcode if opcode not in (Opcode.END, Opcode.LOAD))


def starts_layout() -> data.StructLayout:
    """Return a bit for every opcode of :data:`EXECUTED`, by its name in lower case."""
    return data.StructLayout({opcode.name.lower(): 1 for opcode in EXECUTED})


class Sequencer(wiring.Component):
    """Decodes an instruction while the one before runs; LOADs run beside it.

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
    fetch : Out(1)
        Begin to read the program; pulses.
    instructions : In(stream)
        The program, from its first instruction on.
    load : Out(1)
        Begin the LOAD ``load_task``; pulses.
    loaded : In(1)
        It has ended; pulses.
    starts : Out(struct)
        Begin ``task``; see :func:`starts_layout`; one pulses.
    executed : In(1)
        It has ended; pulses.
    refused : In(8)
        Why the matrix engine did not take it, as :class:`hw.spec.registers.Error`.
    failed : In(1)
        Device memory has answered with an error.
    unreadable : In(1)
        It has where the next instruction is; pulses, once all before it are taken.
    draining : In(1)
        Something asked of device memory is awaited.
    task, load_task : Out(struct)
        See :func:`hw.sequence.decode.task_layout`; stable until the end of what they say.
    halt : Out(1)
        Forget all that runs; pulses: the program has ended, or was stopped.
    counted : Out(1)
        ``task`` is a MATVEC of weights, not of attention, and has ended; pulses.
    number : Out(32)
        Instructions before the one that was reached, or that was refused.
    fetching, loading, executing : Out(1)
        An instruction is awaited; a LOAD runs; ``task`` does.
    busy, done : Out(1)
        The program runs; it has ended well since the last ``run``.
    error : Out(8)
        Why it has not.
    cycles : Out(32)
        Clock cycles of the program so far.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "run": In(1),
                "token": In(INDEX_BITS),
                "position": In(16),
                "fetch": Out(1),
                "instructions": In(stream.Signature(instruction_layout())),
                "load": Out(1),
                "loaded": In(1),
                "starts": Out(starts_layout()),
                "executed": In(1),
                "refused": In(8),
                "failed": In(1),
                "unreadable": In(1),
                "draining": In(1),
                "task": Out(task_layout()),
                "load_task": Out(task_layout()),
                "halt": Out(1),
                "counted": Out(1),
                "number": Out(32),
                **dict.fromkeys(("fetching", "loading", "executing"), Out(1)),
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
        task = decode.task
        opcode = task.instruction.opcode
        loading, executing = self.loading, self.executing
        encoded, ends = Signal(16), Signal()
        m.d.comb += [
            decode.instruction.eq(self.instructions.payload),
            decode.token.eq(self.token),
            decode.position.eq(self.position),
            decode.encoded.eq(encoded),
        ]
        m.d.sync += [self.load.eq(0), self.starts.eq(0), self.fetch.eq(0), self.halt.eq(0)]
        m.d.sync += self.cycles.eq(self.cycles + self.busy)
        with m.If(self.loaded):
            m.d.sync += loading.eq(0)
        with m.If(self.executed):
            m.d.sync += executing.eq(0)
        with m.If(self.unreadable):
            m.d.sync += ends.eq(1)
        self._count(m)

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
                        encoded.eq(0),
                        ends.eq(0),
                    ]
                    m.next = "take"

            # Whatever fails, fails once: what follows is what it left behind.
            stopped = (self.failed | (self.refused != Error.NONE)) & (self.error == Error.NONE)

            with m.State("take"):
                m.d.comb += [
                    self.fetching.eq(1),
                    self.instructions.ready.eq(1),
                    decode.start.eq(self.instructions.valid),
                ]
                with m.If(self.instructions.valid):
                    m.next = "decode"
                with m.Elif(ends):  # no harm is done if it is not needed
                    m.d.sync += self.error.eq(Error.RESPONSE)
                    m.next = "halt"
                self._stop(m, stopped)

            with m.State("decode"):
                with m.If(~decode.busy):
                    m.next = "issue"
                self._stop(m, stopped)

            with m.State("issue"):
                idle = ~loading & ~executing
                with m.If(decode.malformed):
                    with m.If(idle):
                        m.d.sync += self.error.eq(Error.PROGRAM)
                        m.next = "halt"
                with m.Elif(opcode == Opcode.END):
                    with m.If(idle):
                        m.next = "halt"
                with m.Elif(opcode == Opcode.LOAD):
                    with m.If(~loading):
                        m.d.sync += [self.load_task.eq(task), self.load.eq(1), loading.eq(1)]
                        self._next(m)
                with m.Elif(idle):
                    m.d.sync += [self.task.eq(task), executing.eq(1)]
                    for known in EXECUTED:
                        m.d.sync += self.starts[known.name.lower()].eq(opcode == known)
                    with m.If(opcode == Opcode.MATVEC):
                        m.d.sync += encoded.eq(task.instruction.inputs)
                    self._next(m)
                self._stop(m, stopped)

            with m.State("halt"):
                m.d.sync += [self.halt.eq(1), loading.eq(0), executing.eq(0)]
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

    def _stop(self, m, stopped):
        with m.If(stopped):
            m.d.sync += self.error.eq(Mux(self.failed, Error.RESPONSE, self.refused))
            with m.If(~self.failed):  # the check is faster than the next instruction
                m.d.sync += self.number.eq(self.number - 1)
            m.next = "halt"

    def _next(self, m):
        m.d.sync += self.number.eq(self.number + 1)
        m.next = "take"

    def _count(self, m):
        """Tell when a matrix of weights is done."""
        running = self.task.instruction
        attention = running.drain.matches(*ATTENTION)
        matrix = running.opcode == Opcode.MATVEC
        m.d.comb += self.counted.eq(self.executed & matrix & ~attention)
