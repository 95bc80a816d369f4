"""Crossbars in Python's integers, one place and one step at a time, from ``docs/crossbar.md``."""

from __future__ import annotations

from hw.spec import crossbar as spec
from hw.spec.crossbar import Crossbar, IdealConverter
from hw.spec.noise import LINE_WORDS, ROTATIONS, ROUNDS

MASK = (1 << 32) - 1


def threefry(k0: int, k1: int, c0: int, c1: int, rounds: int = ROUNDS) -> tuple[int, int]:
    """Threefry-2x32 (Salmon et al. 2011)."""
    schedule = [k0, k1, 0x1BD11BDA ^ k0 ^ k1]
    a, b = c0 + k0 & MASK, c1 + k1 & MASK
    for i in range(rounds):
        a = a + b & MASK
        r = ROTATIONS[i % 8]
        b = (b << r & MASK | b >> 32 - r) ^ a
        if i % 4 == 3:
            s = i // 4 + 1
            a = a + schedule[s % 3] & MASK
            b = b + schedule[(s + 1) % 3] + s & MASK
    return a, b


def gauss(words: tuple[int, int]) -> int:
    return sum(byte for word in words for byte in word.to_bytes(4, "little")) - 1020


def cell(x: Crossbar, matrix: int, row: int, column: int, number: int, line: int, w: int) -> int:
    """Conductance of a cell of weight ``w`` on a word line of input ``row``."""
    kind = x.cells.cells[number][2]
    device, level = x.device, kind.levels[(-w if line else w) + 8]
    assert level is not None
    target = 256 * level if level else device.off
    place = matrix << 16 | row, (2 * number + line) << 24 | column
    g = target
    if device.programming_amplitude:
        for n in range(device.pulses):
            e = gauss(threefry(x.seed, n, *place))
            g = min(max(target + (device.programming_amplitude * e + 2048 >> 12), 0), 8191)
            if abs(g - target) <= device.tolerance_units:
                break
    g = g * device.drift_factor + 16384 >> 15
    u = threefry(x.seed, spec.STUCK_KEY, *place)[0]
    low, high = device.stuck_limits
    if u < low:
        return device.off
    return 256 * kind.largest if u < high else g


def converted(x: Crossbar, current: int, signed: bool) -> int:
    c = x.converter
    if isinstance(c, IdealConverter):
        return (current + 128) // 256
    v = (current * c.gain + 2048) // 4096 + c.offset
    code = (v + (c.step // 2 if c.nearest else 0)) // c.step
    low, high = (-(2 ** (c.bits - 1)), 2 ** (c.bits - 1) - 1) if signed else (0, 2**c.bits - 1)
    return max(low, min(high, code)) * c.value


def group_sum(
    x: Crossbar, matrix: int, array: int, column: int, lanes: int, weights, coarse, fine
) -> tuple[int, list[int]]:
    """Sum of one output over one array, and [array steps, readings, lines].

    ``weights`` gives the columns' weights of the array's rows, ``coarse`` and ``fine`` the levels.
    """
    mapping, counts = x.cells, [0, 0, 0]
    numbers = {(r, c): [] for r, c, _ in mapping.cells}
    for number, (r, c, _) in enumerate(mapping.cells):
        numbers[r, c].append(number)

    def current(r: int, lines: list[tuple[int, int]]) -> int:
        total = 0
        for c, line in enumerate(mapping.readings[r].columns):
            at = column - column % lanes if line.shared else column
            parts = [0] * 4
            for row, second in lines:
                w = int(weights[row][at])
                for number in numbers[r, c]:
                    g = cell(x, matrix, array * x.rows + row, at, number, second, w)
                    parts[4 * row // x.rows] += mapping.cells[number][2].radix * g
            sums = [sum(parts[: t + 1]) for t in range(4)]
            loss = x.wire_factor * sum((s >> 6) ** 2 for s in sums) >> 16
            total += line.sign * max(sums[3] - loss, 0)
        return total

    digest, total = 0, 0
    for levels in (coarse, fine):
        total *= 16
        charge: dict[tuple[int, int], int] = {}
        for level in sorted({abs(v) for v in levels} - {0}, reverse=True):
            fires = [(row, v < 0) for row, v in enumerate(levels) if abs(v) == level]
            for row, negative in fires:
                digest ^= LINE_WORDS[negative][row]
            phases = [[(row, int(n)) for row, n in fires]]
            if x.signs == "phases":
                phases = [[(row, 0) for row, n in fires if n == sign] for sign in (False, True)]
            a = 0
            for phase, lines in enumerate(phases):
                if not lines:
                    continue
                counts[0] += 1
                counts[2] += len(lines)
                for r, reading in enumerate(mapping.readings):
                    kind = (128 + 2 * r + phase) << 24 | column
                    g = gauss(threefry(x.seed, digest, matrix << 16 | array, kind))
                    i = current(r, lines) + (x.read_amplitudes[r][len(lines)] * g + 2048 >> 12)
                    if x.readout == "window":
                        charge[r, phase] = charge.get((r, phase), 0) + i * level
                        continue
                    counts[1] += 1
                    value = reading.factor * converted(x, i, reading.signed)
                    a += -value if phase else value
            total += max(-16 * x.rows + 1, min(16 * x.rows - 1, a)) * level
            digest = (digest << 7 | digest >> 25) & MASK
        for (r, phase), i in charge.items():
            counts[1] += 1
            reading = mapping.readings[r]
            value = reading.factor * converted(x, i, reading.signed)
            total += -value if phase else value
    return max(-2048 * x.rows, min(2048 * x.rows - 1, total)), counts
