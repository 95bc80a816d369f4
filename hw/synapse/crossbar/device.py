"""A memristor cell: what a weight that is written becomes (``docs/crossbar.md`` §3)."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import CELL_MAX, DRIFT_FRACTION, FRACTION, STUCK_KEY, Crossbar, Device
from hw.spec.mappings import Cell
from hw.spec.noise import AMPLITUDE_FRACTION
from hw.synapse.crossbar import noise
from hw.synapse.crossbar.delay import delayed
from hw.synapse.crossbar.noise import DEVIATE_LATENCY, SAMPLE_LATENCY, WORD, Deviate, Sample

CONDUCTANCE_WIDTH = CELL_MAX.bit_length()


def model(
    weight: int, cell: Cell, device: Device, *, seed: int, place: tuple[int, int]
) -> tuple[int, int]:
    """Conductance of a cell, and the pulses that wrote it.

    Parameters
    ----------
    weight : int
        -8..8.
    cell : Cell
        Its levels.
    device : Device
        What it is like.
    seed : int
        Of all randomness.
    place : tuple of int
        Counter of its samples.
    """
    target, pulses, found = wanted(cell, device)[weight + 8], 1, 0
    found = target
    if device.programming_amplitude:
        for pulses in range(1, device.pulses + 1):
            deviate = noise.deviate_model(noise.model(seed, pulses - 1, *place))
            error = device.programming_amplitude * deviate + _HALF >> AMPLITUDE_FRACTION
            found = min(max(target + error, 0), CELL_MAX)
            if abs(found - target) <= device.tolerance_units:
                break
    found = found * device.drift_factor + (1 << DRIFT_FRACTION - 1) >> DRIFT_FRACTION
    low, high = device.stuck_limits
    draw, _ = noise.model(seed, STUCK_KEY, *place)
    if draw < high:
        found = device.off if draw < low else cell.largest << FRACTION
    return found, pulses


def wanted(cell: Cell, device: Device) -> list[int]:
    """Conductances for the weights -8..8; for what the mapping cannot hold the largest."""
    levels = (cell.largest if level is None else level for level in cell.levels)
    return [max(level << FRACTION, device.off) for level in levels]


def latency(device: Device) -> int:
    """Cycles from a weight to its conductance."""
    return 1 if device.exact else DEVIATE_LATENCY + 2


class ProgrammedCell(wiring.Component):
    """Finds the conductance of any cell of a kind, a cell a cycle.

    What a cell was written to depends on nothing but its level and its place, so that it need not
    be kept.

    Parameters
    ----------
    crossbar : Crossbar
        What cells are like.
    cell : Cell
        The kind of cells.

    Members
    -------
    weight : In(signed(4))
        What is written.
    negative : In(1)
        The cell stands on the second word line and holds its negative.
    c0, c1 : In(32)
        Its place.
    conductance : Out(13)
        In 1/256 level, :func:`latency` cycles later.
    """

    weight: In(signed(4))
    negative: In(1)
    c0: In(WORD)
    c1: In(WORD)
    conductance: Out(CONDUCTANCE_WIDTH)

    def __init__(self, crossbar: Crossbar, cell: Cell):
        self._crossbar, self._cell = crossbar, cell
        super().__init__()

    def elaborate(self, platform):
        """Look up what is wanted; write it; let it drift; see whether the cell is stuck."""
        m = Module()
        device, cell = self._crossbar.device, self._cell
        values = wanted(cell, device)
        by_bits = [values[(b ^ 8) - 8 + 8] for b in range(16)]
        by_bits += [values[8 - ((b ^ 8) - 8)] for b in range(16)]
        target = Signal(CONDUCTANCE_WIDTH)
        m.d.comb += target.eq(Array(by_bits)[Cat(self.weight, self.negative)])
        if device.exact:
            m.d.sync += self.conductance.eq(target)
            return m
        found = self._write(m, delayed(m, target, DEVIATE_LATENCY))
        drifted = Signal(CONDUCTANCE_WIDTH)
        m.d.comb += drifted.eq(
            (found * device.drift_factor + (1 << DRIFT_FRACTION - 1)) >> DRIFT_FRACTION
        )
        m.d.sync += self.conductance.eq(drifted)
        low, high = device.stuck_limits
        if high:
            m.submodules.stuck = stuck = Sample(seed=self._crossbar.seed)
            m.d.comb += [stuck.key.eq(STUCK_KEY), stuck.c0.eq(self.c0), stuck.c1.eq(self.c1)]
            draw = delayed(m, stuck.x0, DEVIATE_LATENCY + 1 - SAMPLE_LATENCY)
            with m.If(draw < low):
                m.d.sync += self.conductance.eq(device.off)
            with m.Elif(draw < high):
                m.d.sync += self.conductance.eq(cell.largest << FRACTION)
        return m

    def _write(self, m, target):
        """Conductance of the first pulse that was near enough, else of the last."""
        device = self._crossbar.device
        found = Signal(CONDUCTANCE_WIDTH)
        if not device.programming_amplitude:
            m.d.sync += found.eq(target)
            return found
        chosen = None
        for pulse in reversed(range(device.pulses)):
            m.submodules[f"pulse_{pulse}"] = draw = Deviate(seed=self._crossbar.seed)
            m.d.comb += [draw.key.eq(pulse), draw.c0.eq(self.c0), draw.c1.eq(self.c1)]
            error = (draw.deviate * device.programming_amplitude + _HALF) >> AMPLITUDE_FRACTION
            sum_ = Signal(signed(CONDUCTANCE_WIDTH + 12), name=f"sum_{pulse}")
            written = Signal(CONDUCTANCE_WIDTH, name=f"written_{pulse}")
            m.d.comb += [
                sum_.eq(target + error),
                written.eq(Mux(sum_ < 0, 0, Mux(sum_ > CELL_MAX, CELL_MAX, sum_))),
            ]
            near = abs(written - target) <= device.tolerance_units
            chosen = written if chosen is None else Mux(near, written, chosen)
        m.d.sync += found.eq(chosen)
        return found


_HALF = 1 << AMPLITUDE_FRACTION - 1
