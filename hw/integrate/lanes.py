"""What every kind of integrator lanes has in common: its ports."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.integrate.beat import beat_layout, group_layout
from hw.spec.params import CoreParams

#: Bits of a weight in a lane.
WEIGHT_WIDTH = 4


class Lanes(wiring.Component):
    """N lanes that take one beat of synapse memory a cycle and hand over sums group by group.

    The next group may follow a handover at once. The scaler must then be free: the tile engine sees
    to it before it asks for the row.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    beat : In(beat_layout)
        What ``weights`` mean.
    weights : In(4 * lanes)
        A beat of synapse memory, lane 0 in the lowest bits.
    sums : Out(ArrayLayout(signed(17), lanes))
        The group's sums P, valid while ``handover``.
    handover : Out(1)
        A group ends; pulses.
    group : Out(group_layout)
        The group that ends.
    """

    #: Cycles from a beat to the handover for which it was the last.
    latency = 1

    def __init__(self, params: CoreParams, members: dict | None = None):
        self._params = params
        super().__init__(
            {
                **(members or {}),
                "beat": In(beat_layout(params)),
                "weights": In(params.beat_bits),
                "sums": Out(data.ArrayLayout(signed(params.sum_width), params.lanes)),
                "handover": Out(1),
                "group": Out(group_layout(params)),
            }
        )
