"""Slow transcriptions of ``docs/arithmetic.md``, one number at a time, in Python's integers."""

import math

import numpy as np

from hw.spec import scales
from hw.spec.codes import TABLES
from hw.spec.luts import CACHE_RECIPROCAL, EXP2
from sw.golden.classify import CodeClass


def exact_shift(x: int, k: int) -> int:
    return (x + (1 << (k - 1))) >> k if k >= 1 else x << -k


def exact_saturate(x: int, width: int) -> int:
    largest = 2 ** (width - 1) - 1
    return min(max(x, -largest), largest)


def slow_code(x, scale, table, theta, m):
    """Decoded value and class of one element; scale is S."""
    t = 8 * 16 * abs(x) // scale
    if table.zero:
        s = -t if x < 0 else t
        q = (t + 4) >> 3
        level = (-q if x < 0 else q) + table.zero
        if level == m or abs(s - 8 * (m - table.zero)) < theta:
            return m - table.zero, CodeClass.SILENT
        inside = 0 <= level <= table.ladder[-1]
        return level - table.zero, CodeClass.SPIKE if inside else CodeClass.INTEGER
    magnitude, integer = table.magnitude(t)
    if x < 0 and not table.polarity:
        magnitude, integer = (t + 4) >> 3, True
    if t < theta or magnitude == 0:
        return 0, CodeClass.SILENT
    sign = -1 if x < 0 else 1
    return sign * magnitude, CodeClass.INTEGER if integer else CodeClass.SPIKE


def slow_encode(x, table, constant, theta, m):
    blocks = [x[i : i + 32] for i in range(0, len(x), 32)]
    indices = [
        scales.scale_index(sum(map(abs, block)), max(map(abs, block)), constant) for block in blocks
    ]
    base = scales.base_exponent(indices)
    relative = [scales.clamp(index, base) for index in indices]
    codes = [
        [slow_code(value, scale << base, table, theta, m) for value in block]
        for block, scale in zip(blocks, relative, strict=True)
    ]
    padding = (m - table.zero, CodeClass.PADDING)
    codes[-1] += [padding] * (32 - len(codes[-1]))
    decoded, classes = np.moveaxis(np.array(codes), -1, 0)
    sums = [sum(value for value, kind in block if kind != CodeClass.PADDING) for block in codes]
    return decoded.tolist(), classes.tolist(), relative, base, sums


def slow_cache(y):
    largest = max(map(abs, y))
    p = largest.bit_length()
    if not largest:
        return [0] * len(y), 64, 0

    def n(value):
        return abs(value) << (14 - p) if p <= 14 else abs(value) >> (p - 14)

    m0 = (n(largest) + (p > 14) + 126) // 127
    i = 1 if m0 > 127 else 0
    m = (m0 + i) >> i
    codes = [
        min(127, exact_shift(n(value) * CACHE_RECIPROCAL[m - 64], 21 + i)) * (-1) ** (value < 0)
        for value in y
    ]
    return codes, m, p - 14 + i


def to_16_bits(value, j):
    return value >> j if j >= 0 else value << -j


def slow_attention(q, keys, values, table, constant, theta, probability_theta):
    """Context of one query head after the coded keys and values that it sees."""
    largest = max(map(abs, q))
    nq = largest.bit_length() - 15 if largest else 0
    x = [exact_saturate(exact_shift(value, nq), 16) for value in q]
    query_table = table if table.polarity else TABLES["companded"]
    decoded, _, scale, base, _ = slow_encode(x, query_table, constant, theta, 0)
    sm, log2 = 0, math.log2(math.e) / math.sqrt(len(q))
    while log2 * 2.0**-sm < 2**15:
        sm -= 1
    multiplier = round(log2 * 2.0**-sm)
    scores = []
    for codes, m, e in keys:
        acc = sum(
            scale[i // 32] * m * decoded[i // 32][i % 32] * code for i, code in enumerate(codes)
        )
        k = -(8 + sm + e + base - 4 + nq - 24)
        scores.append(exact_saturate(exact_shift(acc * multiplier, k), 24))
    below = [max(scores) - score for score in scores]
    p = [EXP2[u & 255] >> min(u >> 8, 31) for u in below]
    z = sum(p)
    ev = max(e for _, _, e in values)
    w = [pt * m >> min(ev - e, 31) for pt, (_, m, e) in zip(p, values, strict=True)]
    if not max(w):
        return [0] * len(q)
    j = max(w).bit_length() - 16
    top = to_16_bits(max(w), j)
    codes = [exact_shift(to_16_bits(wt, j) * ((255 << 23) // top), 23) for wt in w]
    assert max(codes) == 255
    probability_table = table if table.name == "integer" else TABLES["octave"]
    d = [slow_code(code, 16, probability_table, probability_theta, 0)[0] for code in codes]
    jz = z.bit_length() - 16
    zr = min(2**39 // (255 * to_16_bits(z, jz)), 65535)
    gain = min((top * zr + 2**15) >> 16, 65535)
    return [
        exact_saturate(
            exact_shift(
                4 * sum(dt * v[0][i] for dt, v in zip(d, values, strict=True)) * gain,
                25 + jz - j - ev,
            ),
            24,
        )
        for i in range(len(q))
    ]
