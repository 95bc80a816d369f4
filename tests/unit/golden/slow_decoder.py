"""The whole decoder in Python's integers, one token and one number at a time."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np

from hw.spec.codes import TABLES
from hw.spec.luts import SIGMOID
from tests.unit.golden.reference import (
    exact_saturate,
    exact_shift,
    slow_attention,
    slow_cache,
    slow_encode,
)


def normalized(y):
    largest = max(map(abs, y))
    n = largest.bit_length() - 15 if largest else 0
    return [exact_saturate(exact_shift(value, n), 16) for value in y], n


def rescaled(acc, multiplier, k):
    return exact_saturate(exact_shift(acc * multiplier, k), 24)


class SlowDecoder:
    def __init__(self, model, table):
        self.model, self.table, self.config = model, TABLES[table], model.config
        self.keys = [[] for _ in range(self.config.layers)]
        self.values = [[] for _ in range(self.config.layers)]
        self.position = 0

    def quantizer(self, tensor, table):
        return self.model.quantizer(tensor, table.name)

    def multiply(self, matrix, tensor, x):
        """Accumulators, and ``r + E`` of each row."""
        quantizer = self.quantizer(tensor, self.table)
        decoded, classes, scale, base, sums = slow_encode(
            x, self.table, quantizer.constant, quantizer.threshold, quantizer.silent_level
        )
        results = []
        for row in range(matrix.rows):
            acc = 0
            for g in range(matrix.groups):
                codes = matrix.codes[row, 32 * g : 32 * g + 32].tolist()
                p = sum(w * code for w, code in zip(codes, decoded[g], strict=False))
                acc += scale[g] * (int(matrix.d[row, g]) * p + int(matrix.b[row, g]) * sums[g])
            results.append((acc, int(matrix.exponent[row]) + base))
        return results

    def normed(self, norm, matrix, tensor, h, fraction):
        gamma, gf = self.model.norms[norm]
        rf, d = self.model.residual_fraction, len(h)
        x, n = normalized([a * int(b) for a, b in zip(h, gamma, strict=True)])
        epsilon = Fraction(d) * Fraction(self.config.norm_epsilon) * 4**rf
        total = sum(a * a for a in h) + max(1, round(epsilon))
        u = math.ceil((total.bit_length() - 32) / 2)
        a = total >> 2 * u if u >= 0 else total << -2 * u
        c = min(2**31 // math.isqrt(a), 65535)
        sq = 0
        while Decimal(d).sqrt() * Decimal(2) ** -sq < 2**15:
            sq -= 1
        multiplier = (c * round(Decimal(d).sqrt() * Decimal(2) ** -sq) + 2**15) >> 16
        return [
            rescaled(acc, multiplier, 19 + u + gf - fraction - exponent - n - sq)
            for acc, exponent in self.multiply(matrix, tensor, x)
        ]

    def added(self, matrix, tensor, h, y, f):
        x, n = normalized(y)
        rf = self.model.residual_fraction
        return [
            exact_saturate(old + rescaled(acc, 32768, 15 + 4 + f - rf - exponent - n), 24)
            for old, (acc, exponent) in zip(h, self.multiply(matrix, tensor, x), strict=True)
        ]

    def rotated(self, head):
        half = len(head) // 2
        turned = list(head)
        for pair in range(half):
            interleaved = self.config.rope_interleaved
            i, j = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + half)
            cosine, sine = map(int, self.model.rope[self.position, pair])
            a, b = head[i], head[j]
            turned[i] = exact_saturate(exact_shift(a * cosine - b * sine, 14), 24)
            turned[j] = exact_saturate(exact_shift(a * sine + b * cosine, 14), 24)
        return turned

    def attend(self, layer, qkv):
        c, width = self.config, self.config.head_width
        heads = [qkv[i : i + width] for i in range(0, len(qkv), width)]
        query = [self.rotated(head) for head in heads[: c.heads]]
        keys = [self.rotated(head) for head in heads[c.heads : c.heads + c.kv_heads]]
        self.keys[layer].append([slow_cache(head) for head in keys])
        self.values[layer].append([slow_cache(head) for head in heads[c.heads + c.kv_heads :]])
        signed = self.table if self.table.polarity else TABLES["companded"]
        octave = self.table if self.table.name == "integer" else TABLES["octave"]
        q = self.quantizer(f"layers.{layer}.query", signed)
        p = self.quantizer(f"layers.{layer}.probability", octave)
        mixed = []
        for number, head in enumerate(query):
            shared = number // (c.heads // c.kv_heads)
            mixed += slow_attention(
                head,
                [token[shared] for token in self.keys[layer]],
                [token[shared] for token in self.values[layer]],
                self.table,
                q.constant,
                q.threshold,
                p.threshold,
            )
        return mixed

    def step(self, token):
        matrices, rf = self.model.matrices, self.model.residual_fraction
        embedding = matrices["embedding"]
        r = int(embedding.exponent[token])
        scales = np.repeat(embedding.d[token], 32).tolist()
        row = zip(embedding.codes[token].tolist(), scales, strict=False)
        h = [exact_saturate(exact_shift(w * d, -(r + rf)), 24) for w, d in row]
        for n in range(self.config.layers):
            name = f"layers.{n}."
            qkv = self.normed(f"{name}attn_norm", matrices[f"{name}qkv"], f"{name}attn_q", h, 12)
            mixed = self.attend(n, qkv)
            h = self.added(matrices[f"{name}attn_output"], f"{name}attn_output", h, mixed, 12)
            both = self.normed(
                f"{name}ffn_norm", matrices[f"{name}gate_up"], f"{name}ffn_gate", h, 12
            )
            half = len(both) // 2
            hidden = []
            for g, up in zip(both[:half], both[half:], strict=True):
                index = (g >> 6) + 512
                sigma = 0 if index < 0 else 32768 if index > 1023 else SIGMOID[index]
                hidden.append(exact_shift(g * sigma, 15) * up)
            h = self.added(matrices[f"{name}ffn_down"], f"{name}ffn_down", h, hidden, 24)
        self.position += 1
        return self.normed("output_norm", self.model.head, "head", h, 12)
