"""Reads a program ahead of its execution."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from hw.bus.burst_reader import BurstReader
from hw.bus.forget import forgetful
from hw.register import plain_register
from hw.sequence.layout import instruction_layout
from hw.spec.params import CoreParams
from hw.spec.program import INSTRUCTION_BYTES
from hw.synapse.external import axi_signature
from hw.synapse.gearbox import Gearbox


class InstructionFetch(wiring.Component):
    """Offers instruction after instruction, and has at least one more on its way.

    So it reads up to four instructions behind the one that is offered. An error response there
    does no harm unless all instructions before it are taken.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    domain : str
        Clock domain of ``draining``; see :func:`hw.bus.forget.forget`.

    Members
    -------
    start : In(1)
        Begin to read; pulses, while nothing is read and not while ``draining``.
    address : In(32)
        Byte address of the first instruction, a multiple of 64.
    stop : In(1)
        Read no more; no instruction is offered from the next cycle on.
    instruction : Out(stream)
        See :func:`hw.sequence.layout.instruction_layout`.
    draining : Out(1)
        What was asked for is awaited and dropped.
    failed : Out(1)
        The next instruction met an error response, and all reads have ended; pulses. An abandoned
        program does not fail.
    axi : Out(AXI4ReadSignature)
        Device memory; its data never wait.
    """

    def __init__(self, params: CoreParams, *, domain: str = "sync"):
        self._params, self._domain = params, domain
        super().__init__(
            {
                "start": In(1),
                "address": In(32),
                "stop": In(1),
                "instruction": Out(stream.Signature(instruction_layout())),
                "draining": Out(1),
                "failed": Out(1),
                "axi": Out(axi_signature(params)),
            }
        )

    def elaborate(self, platform):
        """Read whole instructions, or whole beats; give the parts as instructions."""
        m = Module()
        width = self._params.axi_data_width
        octets = max(INSTRUCTION_BYTES, width // 8)
        length = 8 * octets // width
        first_bit, unit_bit = exact_log2(INSTRUCTION_BYTES), exact_log2(octets)
        reader = BurstReader(self._params, longest=length, depth=2 * length, domain=self._domain)
        gearbox = Gearbox(source=width, target=8 * INSTRUCTION_BYTES)
        m.submodules.reader, m.submodules.gearbox = (
            reader,
            forgetful(gearbox, self.draining, self._domain),
        )
        connect(m, flipped(self.axi), reader.axi)
        beats, parts, offered = reader.beats, gearbox.target, self.instruction
        instruction = plain_register(m, offered.payload)
        active, skip, failing = Signal(), Signal(), Signal()
        address = Signal(32, reset_less=True)
        m.d.comb += [
            reader.abort.eq(self.stop),
            reader.bursts.valid.eq(active),
            reader.bursts.p.address.eq(address),
            reader.bursts.p.length.eq(length - 1),
            self.draining.eq(reader.draining),
            self.failed.eq(failing & ~offered.valid & ~self.stop),
            gearbox.source.valid.eq(beats.valid),
            gearbox.source.p.data.eq(beats.p.data),
            gearbox.source.p.last.eq(beats.p.last),
            beats.ready.eq(gearbox.source.ready),
            parts.ready.eq(~offered.valid),
        ]
        with m.If(offered.ready):
            m.d.sync += offered.valid.eq(0)
        with m.If(parts.ready):  # what is not valid does not matter, and so much waits for this
            m.d.sync += instruction.eq(parts.p.data)
        with m.If(parts.valid & parts.ready):
            m.d.sync += offered.valid.eq(~skip)
        with m.If(reader.failed):  # behind what is offered that does not matter yet
            m.d.sync += failing.eq(1)
        with m.Elif(self.failed):
            m.d.sync += failing.eq(0)
        with m.If(self.stop):
            m.d.sync += [offered.valid.eq(0), failing.eq(0)]
        with m.If(active & reader.bursts.ready):
            m.d.sync += address.eq(address + octets)
        with m.If(parts.valid & parts.ready):
            m.d.sync += skip.eq(0)
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                address.eq(self.address[unit_bit:] << unit_bit),
                skip.eq(self.address[first_bit:unit_bit].any()),
            ]
        with m.If(self.stop | self.draining):
            m.d.sync += active.eq(0)
        return m
