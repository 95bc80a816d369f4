"""Tile engine and synapse memory joined: which beat comes with which item is their joint work."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.encode.classifier import code_layout
from hw.integrate.tile_engine import TileEngine
from hw.spec.params import CoreParams
from hw.synapse.external import ExternalMemory
from hw.synapse.onchip import OnChipMemory


class SynapseArray(wiring.Component):
    """What comes to lanes and scaler: beats of memory and what they mean."""

    def __init__(self, params: CoreParams):
        self._engine = TileEngine(params)
        self._memory = (ExternalMemory if params.external else OnChipMemory)(params)
        engine, memory = self._engine.signature.members, self._memory.signature.members
        ports = {name: engine[name] for name in engine if name != "read"}
        ports |= {name: memory[name] for name in memory if name != "read"}
        if params.external:  # a port that is always ready is no port in Verilog
            ports["classified"] = In(stream.Signature(code_layout()))
        ports |= {"row": Out(1), "head": Out(1)}
        ports |= {name: Out(params.beat_bits) for name in ("row_data", "head_data")}
        super().__init__(ports)

    def elaborate(self, platform):
        """Join the two; ports of one name are one port."""
        m = Module()
        m.submodules.engine, m.submodules.memory = engine, memory = self._engine, self._memory
        read = memory.read
        connect(m, engine.read, read)
        for part in (memory, engine):
            for name, member in part.signature.members.items():
                if name == "read":
                    continue
                if member.is_signature:
                    connect(m, flipped(getattr(self, name)), getattr(part, name))
                elif member.flow is In:
                    m.d.comb += getattr(part, name).eq(getattr(self, name))
                elif part is memory or name not in memory.signature.members:
                    m.d.comb += getattr(self, name).eq(getattr(part, name))
        m.d.comb += [
            self.row.eq(engine.beat.row),
            self.head.eq(engine.beat.scale | engine.beat.sums),
            self.row_data.eq(read.data),
            self.head_data.eq(read.head_data),
        ]
        return m
