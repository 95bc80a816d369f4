"""Instructions on their way from device memory to the sequencer."""

from __future__ import annotations

from hw.spec.params import CoreParams
from hw.spec.program import INSTRUCTION_BYTES
from sw.plan.bus import Ask, Burst, Bus, Manager, Requests

#: Bursts that are kept or on their way.
_DEPTH = 2

#: Cycles from the start, or from room for a burst, until it is asked for at the memory, and from
#: its last beat until its instruction is kept; it may be taken a cycle later.
_FIRST = 3
_AGAIN = 3
_ARRIVAL = 2


class ProgramFetch:
    """Reads ahead; an instruction is gathered from narrow beats while the one before is offered.

    Parameters
    ----------
    params : CoreParams
        The core.
    bus : Bus
        Device memory.
    address : int
        Byte address of the program.
    """

    def __init__(self, params: CoreParams, bus: Bus, address: int) -> None:
        self._bus, self._octets = bus, max(INSTRUCTION_BYTES, params.axi_data_width // 8)
        self._length = self._octets * 8 // params.axi_data_width
        self._gather = max(1, INSTRUCTION_BYTES * 8 // params.axi_data_width)
        self._per_burst = self._octets // INSTRUCTION_BYTES
        self._number = address % self._octets // INSTRUCTION_BYTES
        self._address = address - address % self._octets
        self._asked: list[Manager] = []
        self._arrived: dict[int, int] = {}
        self._offered, self._taken = 0, 0
        for burst in range(_DEPTH):
            self._ask(_FIRST + burst)

    @property
    def beats(self) -> int:
        """Beats that were read."""
        return sum(manager.beats for manager in self._asked)

    def take(self, cycle: int) -> int:
        """Take the next instruction, not before a cycle; return the cycle of the take."""
        self._offer()
        self._taken = max(cycle, self._offered + 1)
        return self._taken

    def end(self) -> None:
        """Keep the instruction behind the last one that was taken, so that more are asked for."""
        self._offer()

    def _offer(self) -> None:
        """Keep the next instruction in the place of the one that was taken."""
        burst, part = divmod(self._number, self._per_burst)
        self._bus.finish(self._asked[burst])
        gathered = max(self._arrived[burst] + _ARRIVAL, self._offered + self._gather)
        self._offered = max(gathered, self._taken + 1)
        self._number += 1
        if part + 1 == self._per_burst:
            self._ask(self._offered + _AGAIN)

    def _ask(self, cycle: int) -> None:
        number = len(self._asked)
        address = self._address + number * self._octets
        self._asked.append(
            self._bus.start(self._requests(number, Ask(cycle, address, self._length)))
        )

    def _requests(self, number: int, ask: Ask) -> Requests:
        burst: Burst = yield ask
        self._arrived[number] = burst.last
