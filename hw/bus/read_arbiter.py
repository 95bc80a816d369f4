"""Several AXI4 read managers share one port."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.slice import Slice
from hw.spec.params import CoreParams
from hw.synapse.external import axi_signature

#: Members of the address channel that are the same in all bursts of a manager.
_CONSTANT = tuple(f"ar{name}" for name in ("size", "burst", "lock", "cache", "prot", "qos"))


class ReadArbiter(wiring.Component):
    """Takes an address a cycle, from the managers in turn; the id of a burst is its manager's.

    Each manager sees its data in order, as all its bursts have one id; its own ids are ignored, and
    answered with 0. A manager that is not ready for its data holds back those of all others, so
    only ask for what there is room for. Size, burst, lock, cache, prot and qos of a manager never
    change.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    managers : int
        How many there are, at least 2.

    Members
    -------
    managers : In(AXI4ReadSignature)
        Array of the managers' ports.
    axi : Out(AXI4ReadSignature)
        The memory; an address comes here a cycle after a manager offers it.

    Raises
    ------
    ValueError
        If the bus's ids cannot tell the managers apart.
    """

    def __init__(self, params: CoreParams, *, managers: int = 3):
        if managers < 2:
            raise ValueError(f"managers must be at least 2, not {managers}; one needs no arbiter")
        bits = ceil_log2(managers)
        if params.axi_id_width < bits:
            raise ValueError(
                f"axi_id_width must be at least {bits} where {managers} managers share the bus, "
                f"not {params.axi_id_width}; raise it"
            )
        self._count = managers
        super().__init__(
            {
                "managers": In(axi_signature(params)).array(managers),
                "axi": Out(axi_signature(params)),
            }
        )

    def elaborate(self, platform):
        """Take addresses into registers, and choose among these; pass on data by their id."""
        m = Module()
        axi, managers = self.axi, Array(self.managers)
        where = data.StructLayout({"addr": len(axi.araddr), "len": len(axi.arlen)})
        taken = []
        for number, manager in enumerate(self.managers):
            m.submodules[f"taken_{number}"] = kept = Slice(where)
            m.d.comb += [
                kept.source.valid.eq(manager.arvalid),
                kept.source.p.addr.eq(manager.araddr),
                kept.source.p.len.eq(manager.arlen),
                manager.arready.eq(kept.source.ready),
            ]
            taken.append(kept.target)
        last, chosen = Signal(range(self._count)), Signal(range(self._count))
        stands = Signal()  # what is offered stays until it is taken
        with m.If(stands):
            m.d.comb += chosen.eq(last)
        with m.Else(), m.Switch(last):
            for before in range(self._count):
                with m.Case(before):
                    for distance in range(self._count, 0, -1):  # the nearest has the final word
                        number = (before + distance) % self._count
                        with m.If(taken[number].valid):
                            m.d.comb += chosen.eq(number)
        m.d.sync += [last.eq(chosen), stands.eq(axi.arvalid & ~axi.arready)]
        with m.If(~axi.arvalid):
            m.d.sync += last.eq(last)
        offered = Array(target.p for target in taken)[chosen]
        m.d.comb += [
            axi.arvalid.eq(Cat(target.valid for target in taken).any()),
            axi.arid.eq(chosen),
            axi.araddr.eq(offered.addr),
            axi.arlen.eq(offered.len),
            *(getattr(axi, name).eq(getattr(managers[chosen], name)) for name in _CONSTANT),
            *(
                target.ready.eq(axi.arready & (chosen == number))
                for number, target in enumerate(taken)
            ),
        ]

        answered = managers[axi.rid[: len(chosen)]]
        m.d.comb += [answered.rvalid.eq(axi.rvalid), axi.rready.eq(answered.rready)]
        for manager in self.managers:
            m.d.comb += [
                manager.rdata.eq(axi.rdata),
                manager.rresp.eq(axi.rresp),
                manager.rlast.eq(axi.rlast),
            ]
        return m
