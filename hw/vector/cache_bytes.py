"""Bytes of a head on their way to the cache (``docs/program.md``, KEEP)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.sequence.layout import instruction_layout
from hw.sequence.storer import octet_layout
from hw.spec.program import Instruction
from hw.vector.cache_code import CODE_BITS
from hw.vector.weight import EXPONENT_BITS, MANTISSA_BITS

#: Bits of a byte address in device memory.
ADDRESS_BITS = 32

#: Turns a code into what the planes of an 8-bit weight hold: see `nibbles` of LOAD.
PLANES = 8


def model(
    codes: Sequence[int],
    mantissa: int,
    exponent: int,
    instruction: Instruction,
    *,
    origin: int,
    mantissa_origin: int,
    scale_address: int,
) -> Iterator[tuple[int, int]]:
    """Yield addresses and bytes in the order in which they are sent."""
    inner, outer_stride = instruction["inner"], instruction["outer_stride"]
    for j, code in enumerate(codes):
        offset = j // inner * outer_stride + j % inner * instruction["inner_stride"]
        yield (origin + offset) % (1 << ADDRESS_BITS), (code ^ PLANES) & 0xFF
    if instruction["keys"]:
        for run in range(-(-len(codes) // inner)):
            yield (mantissa_origin + run * outer_stride) % (1 << ADDRESS_BITS), mantissa
    yield scale_address, mantissa
    yield scale_address + 1, exponent & 0xFF


class CacheBytes(wiring.Component):
    """Sends codes to their addresses, then the scale of their head.

    Members
    -------
    start : In(1)
        Send a head; pulses, only while none is sent.
    instruction : In
        KEEP; stable from ``start`` to ``done``, as all that follows but the codes.
    count : In(16)
        Words of the head.
    origin, mantissa_origin, scale_address : In(32)
        Byte addresses of the first code, of the first run's mantissa, and of the scale.
    codes : In(stream)
        Codes of the head.
    mantissa, exponent : In
        Scale of the head, stable from its first code on.
    octets : Out(stream)
        See :func:`hw.sequence.storer.octet_layout`.
    stored : In(1)
        All bytes that have been taken are in memory; low from the cycle after one is taken.
    done : Out(1)
        The head is in memory; pulses.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "count": In(16),
                "origin": In(ADDRESS_BITS),
                "mantissa_origin": In(ADDRESS_BITS),
                "scale_address": In(ADDRESS_BITS),
                "codes": In(stream.Signature(signed(CODE_BITS))),
                "mantissa": In(MANTISSA_BITS),
                "exponent": In(signed(EXPONENT_BITS)),
                "octets": Out(stream.Signature(octet_layout())),
                "stored": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        """Run the address on, from element to element and from run to run."""
        m = Module()
        instruction, octets = self.instruction, self.octets
        taken = octets.valid & octets.ready
        address, run = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        stride, next_element, next_run = (
            Signal(ADDRESS_BITS, name=name) for name in ("stride", "next_element", "next_run")
        )
        m.d.comb += [
            octets.p.address.eq(address),
            octets.p.octet.eq(self.mantissa),
            next_element.eq(address + stride),
            next_run.eq(run + instruction.outer_stride),
        ]

        remaining, place, runs = (
            Signal.like(self.count, name=name) for name in ("remaining", "place", "runs")
        )
        most = Signal.like(place)  # elements of a run that follow its first
        run_ends, ends = Signal(), Signal()  # registers: so much waits for them
        another = Signal()  # a cycle after a run that others follow
        m.d.sync += [
            most.eq(instruction.inner - 1),
            another.eq(0),
            runs.eq(runs + another),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    address.eq(self.origin),
                    stride.eq(instruction.inner_stride),
                    run.eq(self.origin),
                    remaining.eq(self.count),
                    ends.eq(self.count == 1),
                    place.eq(instruction.inner - 1),
                    run_ends.eq(instruction.inner == 1),
                    runs.eq(0),
                ]
                with m.If(self.start):
                    m.next = "CODES"
            with m.State("CODES"):
                m.d.comb += [
                    octets.valid.eq(self.codes.valid),
                    octets.p.octet.eq(self.codes.payload ^ PLANES),
                    self.codes.ready.eq(octets.ready),
                ]
                with m.If(taken):
                    m.d.sync += [
                        remaining.eq(remaining - 1),
                        ends.eq(remaining == 2),
                        place.eq(place - 1),
                        run_ends.eq(place == 1),
                        address.eq(next_element),
                    ]
                    with m.If(run_ends):
                        m.d.sync += [
                            place.eq(most),
                            run_ends.eq(most == 0),
                            address.eq(next_run),
                            run.eq(next_run),
                            another.eq(~ends),
                        ]
                    with m.If(ends):
                        m.d.sync += [
                            address.eq(self.scale_address),
                            stride.eq(1),
                            run.eq(self.mantissa_origin),
                        ]
                        m.next = "MANTISSA"
                        with m.If(instruction.keys):
                            m.d.sync += address.eq(self.mantissa_origin)
                            m.next = "MANTISSAS"
            with m.State("MANTISSAS"):
                m.d.comb += octets.valid.eq(1)
                with m.If(taken):
                    m.d.sync += [address.eq(next_run), run.eq(next_run), runs.eq(runs - 1)]
                    with m.If(runs == 0):
                        m.d.sync += address.eq(self.scale_address)
                        m.next = "MANTISSA"
            with m.State("MANTISSA"):
                m.d.comb += octets.valid.eq(1)
                with m.If(taken):
                    m.d.sync += address.eq(next_element)
                    m.next = "EXPONENT"
            with m.State("EXPONENT"):
                m.d.comb += [octets.valid.eq(1), octets.p.octet.eq(self.exponent)]
                with m.If(taken):
                    m.next = "STORED"
            with m.State("STORED"):
                m.d.comb += self.done.eq(self.stored)
                with m.If(self.stored):
                    m.next = "IDLE"
        return m
