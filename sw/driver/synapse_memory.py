"""How the driver reaches a core's synapse memory: on chip through a window, outside directly."""

from __future__ import annotations

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.registers import REGISTERS
from sw.driver.transport import Transport


class SynapseMemory:
    """Beats of synapse memory.

    Parameters
    ----------
    transport : Transport
        How to reach the core and, if it has any, its external memory.
    params : CoreParams
        The core's configuration.
    """

    def __init__(self, transport: Transport, params: CoreParams):
        self._transport, self._params = transport, params

    def write(self, beat: int, words: np.ndarray) -> None:
        """Write whole beats from an address on; uint32, ``words_per_beat`` for each."""
        if self._params.external:
            self._transport.load(beat * self._params.beat_bits // 8, words)
        else:
            self._transport.write_window(self._window(beat), words)

    def read(self, beat: int) -> np.ndarray:
        """Words of one beat; a copy."""
        if self._params.external:
            size = self._params.beat_bits // 8
            return self._transport.dump(beat * size, size).view(np.uint32)
        return self._transport.read_window(self._window(beat), self._params.words_per_beat).copy()

    def _window(self, beat: int) -> int:
        """Address of the window, which is put to a beat."""
        address = REGISTERS["memory_address"].address
        self._transport.write(address, beat * self._params.words_per_beat)
        return REGISTERS["memory_data"].address
