"""Whole tokens of a model whose layers do not fit device memory together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Instruction
from sw.compile.stream import StreamProgram
from sw.driver.link import Link
from sw.driver.token import TokenDevice
from sw.driver.transport import Transport


@dataclasses.dataclass(kw_only=True)
class StreamCounts:
    """Clock cycles of a simulated core since its model was loaded.

    Attributes
    ----------
    load_cycles : int
        Bytes of layers were on their way to a buffer.
    compute_cycles : int
        The core ran a program, of a layer or another.
    overlap_cycles : int
        Both.
    total_cycles : int
        From the beginnings of tokens to their ends, what the driver reads and writes included.
    loaded_layers : int
        Layers that have arrived.
    """

    load_cycles: int = 0
    compute_cycles: int = 0
    overlap_cycles: int = 0
    total_cycles: int = 0
    loaded_layers: int = 0

    @property
    def overlap(self) -> float:
        """Share of the loading that was hidden behind computing; 1 where nothing took time."""
        return self.overlap_cycles / self.load_cycles if self.load_cycles else 1.0

    def __str__(self) -> str:
        return (
            f"{self.loaded_layers} layers were loaded in {self.load_cycles:,} cycles, "
            f"{self.overlap:.1%} of them while the core computed; it computed in "
            f"{self.compute_cycles:,} of {self.total_cycles:,} cycles"
        )


class StreamDevice(TokenDevice):
    """A core that computes one layer while the next one comes.

    Uses of layers are counted from the first token on, and number n lies in buffer n mod 2. It is
    sent as soon as number n - 2 has been computed.

    Parameters
    ----------
    transport : Transport
        How to reach the core and its memory.
    params : CoreParams
        The configuration that the core is expected to have.
    program : StreamProgram
        Model, caches and programs.
    link : float
        Bytes that reach device memory in a clock cycle.

    Attributes
    ----------
    counts : StreamCounts
        What loading and computing took.

    Raises
    ------
    UserError
        As :class:`sw.driver.token.TokenDevice`, or if the link is too slow.
    """

    program: StreamProgram

    def __init__(
        self, transport: Transport, params: CoreParams, program: StreamProgram, *, link: float
    ):
        self._link = Link(transport, link)
        super().__init__(transport, params, program)

    def load(self) -> None:
        """Put what stays into the core's memory, and forget all tokens and layers."""
        super().load()
        self.counts = StreamCounts()
        self._held: list[int | None] = [None, None]
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Let the next layer be the first one; what a buffer holds may serve again."""
        self._link.forget()
        self._used = self._loaded = 0

    def _make_token(self) -> None:
        program, begin = self.program, self.transport.cycles
        if self._used % len(program.layers):  # the token before has failed
            self._begin_anew()
        self._run(program.address, program.embedding)
        for layer in program.layers:
            while self._loaded == self._used:
                self._feed()
            address = program.buffers[self._used % 2] + len(layer.weights)
            self._run(address, layer.instructions)
            self._used += 1
        self._run(program.head_address, program.head)
        self.counts.total_cycles += self.transport.cycles - begin

    def _run(
        self, address: int, instructions: Sequence[Instruction], *, longest: int | None = None
    ) -> None:
        self._carried: list[tuple[int, int]] = []
        begin, before = self.transport.cycles, self.cycles
        super()._run(address, instructions, longest=longest)
        cycles = self.cycles - before
        self.counts.compute_cycles += cycles
        for first, last in self._carried:
            self.counts.overlap_cycles += max(0, min(last, begin + cycles) - first)

    def _meanwhile(self) -> None:
        """Let layers come until the program has ended, or both buffers are full."""
        while self._status()["busy"] and self._feed():
            pass

    def _feed(self) -> bool:
        """Carry a piece of the next layer; return False if both buffers are full."""
        program, counts = self.program, self.counts
        layer, buffer = self._loaded % len(program.layers), self._loaded % 2
        if self._loaded == self._used + 2:
            return False
        if self._held[buffer] == layer:
            self._loaded += 1
            return True
        if self._link.idle:
            self._held[buffer] = None
            self._link.send(program.buffers[buffer], program.layers[layer].octets(buffer))
        begin = self.transport.cycles
        counts.load_cycles += self._link.carry()
        self._carried.append((begin, self.transport.cycles))
        if self._link.idle:
            self._held[buffer] = layer
            self._loaded += 1
            counts.loaded_layers += 1
        return True
