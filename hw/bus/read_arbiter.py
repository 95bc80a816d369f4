"""Several AXI4 read managers share one port."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.spec.params import CoreParams
from hw.synapse.external import axi_signature

#: Members of the address channel that a manager drives, but for its handshake and its id.
_ADDRESS = tuple(
    f"ar{name}" for name in ("addr", "len", "size", "burst", "lock", "cache", "prot", "qos")
)


class ReadArbiter(wiring.Component):
    """Takes an address a cycle, from the managers in turn; the id of a burst is its manager's.

    Each manager sees its data in order, as all its bursts have one id; its own ids are ignored, and
    answered with 0. A manager that is not ready for its data holds back those of all others, so
    only ask for what there is room for.

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
        """Pass on addresses through a register, and data by their id."""
        m = Module()
        axi, managers = self.axi, Array(self.managers)
        free, offered, chosen = Signal(), Signal(), Signal(range(self._count))
        m.d.comb += [
            free.eq(axi.arready | ~axi.arvalid),
            offered.eq(managers[chosen].arvalid),
            managers[chosen].arready.eq(free),
        ]
        with m.Switch(axi.arid):
            for last in range(self._count):
                with m.Case(last):
                    for distance in range(self._count, 0, -1):  # the nearest has the final word
                        number = (last + distance) % self._count
                        with m.If(self.managers[number].arvalid):
                            m.d.comb += chosen.eq(number)
        with m.If(free):
            m.d.sync += axi.arvalid.eq(offered)
        with m.If(free & offered):
            m.d.sync += [
                axi.arid.eq(chosen),
                *(getattr(axi, name).eq(getattr(managers[chosen], name)) for name in _ADDRESS),
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
