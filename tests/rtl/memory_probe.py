"""Smallest module with the ports of a core that writes: registers store bytes and read words."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In

from hw.bus.axi4_lite import READ_LATENCY, AXI4LiteSignature, AXI4LiteSlave
from hw.bus.burst_reader import BurstReader
from hw.bus.csr import ADDRESS_WIDTH
from hw.bus.read_arbiter import ReadArbiter
from hw.core import CLOCK, MEMORY_PREFIX, PREFIX
from hw.sequence.storer import Storer, octet_layout, write_signature
from hw.synapse.external import axi_signature

#: Byte addresses: ADDRESS and OCTET (it is stored, and the address moves on) are written; STATUS is
#: 1 when all is stored, with the failures above; READS start a read when written, and give the
#: word that came.
ADDRESS, OCTET, STATUS = 0, 4, 8
READS = (12, 16)


class MemoryProbe(wiring.Component):
    """A storer, and two readers behind an arbiter.

    Parameters
    ----------
    params : CoreParams
        Those of the core that it stands for.
    """

    def __init__(self, params):
        self._params = params
        bus = AXI4LiteSignature(ADDRESS_WIDTH).flip()
        ports = {name: In(1) for name in CLOCK}
        ports |= {f"{PREFIX}{name}": member for name, member in bus.members.items()}
        for half in (axi_signature(params), write_signature(params)):
            ports |= {f"{MEMORY_PREFIX}{name}": port for name, port in half.members.items()}
        super().__init__(ports)

    def elaborate(self, platform):
        """Join the parts."""
        m = Module()
        m.domains.sync = sync = ClockDomain()
        m.d.comb += [sync.clk.eq(self.clk), sync.rst.eq(self.rst)]
        m.submodules.bus = bus = AXI4LiteSlave(ADDRESS_WIDTH)
        m.submodules.storer = storer = Storer(self._params)
        m.submodules.queue = queue = SyncFIFOBuffered(width=octet_layout().size, depth=256)
        m.submodules.arbiter = arbiter = ReadArbiter(self._params, managers=2)
        for prefix, port in ((PREFIX, bus.axi), (MEMORY_PREFIX, storer.axi)):
            self._export(m, prefix, port)
        self._export(m, MEMORY_PREFIX, arbiter.axi)

        registers, address, failures = bus.registers, Signal(32), Signal(8)
        written = {place: Signal(name=f"written_{place}") for place in (ADDRESS, OCTET, *READS)}
        for place, signal in written.items():
            m.d.comb += signal.eq(registers.write & (registers.write_address == place // 4))
        with m.If(written[ADDRESS]):
            m.d.sync += address.eq(registers.write_data)
        with m.If(written[OCTET]):
            m.d.sync += address.eq(address + 1)
        with m.If(storer.failed):
            m.d.sync += failures.eq(failures + 1)
        octet = octet_layout()(queue.w_data)
        m.d.comb += [
            octet.address.eq(address),
            octet.octet.eq(registers.write_data),
            queue.w_en.eq(written[OCTET]),
            storer.octets.p.eq(queue.r_data),
            storer.octets.valid.eq(queue.r_rdy),
            queue.r_en.eq(storer.octets.ready),
        ]
        stored = storer.stored & (queue.level == 0)
        values = {STATUS: stored | failures << 1}
        for place, port in zip(READS, arbiter.managers, strict=True):
            m.submodules[f"reader_{place}"] = reader = BurstReader(self._params, longest=1, depth=4)
            wiring.connect(m, reader.axi, port)
            values[place] = word = Signal(32, name=f"word_{place}")
            m.d.comb += [
                reader.bursts.valid.eq(written[place]),
                reader.bursts.p.address.eq(address),
                reader.beats.ready.eq(1),
            ]
            with m.If(reader.beats.valid):
                m.d.sync += word.eq(reader.beats.p.data)

        asked = registers.read_address
        for _ in range(READ_LATENCY):
            later = Signal.like(asked, name="asked")
            m.d.sync += later.eq(asked)
            asked = later
        with m.Switch(asked):
            for place, value in values.items():
                with m.Case(place // 4):
                    m.d.comb += registers.answer.value.eq(value)
        return m

    def _export(self, m, prefix, bus):
        for name, member in bus.signature.members.items():
            port, inner = getattr(self, prefix + name), getattr(bus, name)
            m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)
