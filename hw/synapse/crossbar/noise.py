"""Counter-based noise without state (``docs/crossbar.md`` §5)."""

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.noise import GAUSS_MEAN, INJECT, PARITY, ROTATIONS, ROUNDS

WORD = 32
_MASK = (1 << WORD) - 1

#: Signed bits of a deviate, within 1,020 of 0.
DEVIATE_WIDTH = 11

#: Cycles from a counter to its sample, and to its deviate.
SAMPLE_LATENCY = ROUNDS // INJECT
DEVIATE_LATENCY = SAMPLE_LATENCY + 1


def model(seed: int, key: int, c0: int, c1: int, *, rounds: int = ROUNDS) -> tuple[int, int]:
    """Two words of Threefry-2x32."""
    keys = (seed, key, PARITY ^ seed ^ key)
    x0, x1 = (c0 + seed) & _MASK, (c1 + key) & _MASK
    for number in range(rounds):
        left = ROTATIONS[number % len(ROTATIONS)]
        x0 = (x0 + x1) & _MASK
        x1 = (x1 << left | x1 >> WORD - left) & _MASK ^ x0
        if number % INJECT == INJECT - 1:
            turn = number // INJECT + 1
            x0 = (x0 + keys[turn % 3]) & _MASK
            x1 = (x1 + keys[(turn + 1) % 3] + turn) & _MASK
    return x0, x1


def deviate_model(words: tuple[int, int]) -> int:
    """Sum of the bytes of a sample, less its mean."""
    return sum(w >> 8 * k & 255 for w in words for k in range(4)) - GAUSS_MEAN


class Sample(wiring.Component):
    """A sample a cycle, :data:`SAMPLE_LATENCY` cycles after its key and counter.

    Parameters
    ----------
    seed : int
        First word of every key.

    Members
    -------
    key, c0, c1 : In(32)
        Second word of the key, and counter.
    x0, x1 : Out(32)
        The sample.
    """

    key: In(WORD)
    c0: In(WORD)
    c1: In(WORD)
    x0: Out(WORD)
    x1: Out(WORD)

    def __init__(self, *, seed: int):
        self._seed = seed
        super().__init__()

    def elaborate(self, platform):
        """Four rounds and an addition of the key between two registers."""
        m = Module()
        seed, key = Const(self._seed, WORD), self.key
        x0, x1 = (self.c0 + seed)[:WORD], (self.c1 + key)[:WORD]
        for stage in range(SAMPLE_LATENCY):
            keys = (seed, key, Const(PARITY ^ self._seed, WORD) ^ key)
            for number in range(INJECT * stage, INJECT * stage + INJECT):
                sum0 = Signal(WORD, name=f"sum_{number}")
                mixed = Signal(WORD, name=f"mixed_{number}")
                m.d.comb += [
                    sum0.eq(x0 + x1),
                    mixed.eq(Signal.rotate_left(x1, ROTATIONS[number % len(ROTATIONS)]) ^ sum0),
                ]
                x0, x1 = sum0, mixed
            turn = stage + 1
            last = turn == SAMPLE_LATENCY
            next0 = self.x0 if last else Signal(WORD, name=f"x0_{turn}")
            next1 = self.x1 if last else Signal(WORD, name=f"x1_{turn}")
            later = Signal(WORD, name=f"key_{turn}")
            m.d.sync += [
                next0.eq(x0 + keys[turn % 3]),
                next1.eq(x1 + keys[(turn + 1) % 3] + turn),
                later.eq(key),
            ]
            x0, x1, key = next0, next1, later
        return m


class Deviate(wiring.Component):
    """A nearly normal deviate a cycle, :data:`DEVIATE_LATENCY` cycles after key and counter.

    Parameters
    ----------
    seed : int
        First word of every key.

    Members
    -------
    key, c0, c1 : In(32)
        As of :class:`Sample`.
    deviate : Out(signed(11))
        Sum of the bytes of the sample, less its mean.
    """

    key: In(WORD)
    c0: In(WORD)
    c1: In(WORD)
    deviate: Out(signed(DEVIATE_WIDTH))

    def __init__(self, *, seed: int):
        self._seed = seed
        super().__init__()

    def elaborate(self, platform):
        """Sample; sum."""
        m = Module()
        m.submodules.sample = sample = Sample(seed=self._seed)
        octets = Cat(sample.x0, sample.x1)
        m.d.comb += [getattr(sample, n).eq(getattr(self, n)) for n in ("key", "c0", "c1")]
        total = sum(octets.word_select(k, 8) for k in range(8))
        m.d.sync += self.deviate.eq(total - GAUSS_MEAN)
        return m
