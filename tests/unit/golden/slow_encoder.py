"""The whole encoder in Python's integers, one number at a time (``docs/arithmetic.md`` §15)."""

import math
from decimal import Decimal
from fractions import Fraction

from hw.spec.codes import TABLES
from hw.spec.luts import PHI
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


def mantissa(value):
    """A positive number as 16 bits, to nearest, and the power of two that they are times."""
    exponent = 0
    while value * Decimal(2) ** -exponent < 2**15:
        exponent -= 1
    while value * Decimal(2) ** -exponent >= 2**16:
        exponent += 1
    return round(value * Decimal(2) ** -exponent), exponent


def widened(numbers, f):
    values, fraction = numbers
    assert fraction <= f
    return [exact_saturate(int(value) << f - fraction, 24) for value in values]


class SlowEncoder:
    def __init__(self, model, table):
        self.model, self.table, self.config = model, TABLES[table], model.config
        self.rf = model.residual_fraction

    def layer_norm(self, name, h):
        d, (gamma, gf) = len(h), self.model.norms[name]
        me, exponent = mantissa(1 / Decimal(d))
        mean = rescaled(sum(h), me, -exponent)
        centred = [exact_saturate(value - mean, 24) for value in h]
        epsilon = max(1, round(Fraction(d) * Fraction(self.config.norm_epsilon) * 4**self.rf))
        total = sum(c * c for c in centred) + epsilon
        u = math.ceil((total.bit_length() - 32) / 2)
        a = total >> 2 * u if u >= 0 else total << -2 * u
        c = min(2**31 // math.isqrt(a), 65535)
        root, sq = mantissa(Decimal(d).sqrt())
        multiplier = (c * root + 2**15) >> 16
        k = 15 + gf - sq - self.rf + u
        beta = widened(self.model.betas[name], self.rf)
        return [
            exact_saturate(rescaled(value * int(gain), multiplier, k) + offset, 24)
            for value, gain, offset in zip(centred, gamma, beta, strict=True)
        ]

    def multiply(self, name, tensor, y, f, biases, g):
        """Words of f fraction bits times a matrix; biases and results have g."""
        matrix = self.model.matrices[name]
        quantizer = self.model.quantizer(tensor, self.table.name)
        x, n = normalized(y)
        decoded, _, scale, base, sums = slow_encode(
            x, self.table, quantizer.constant, quantizer.threshold, quantizer.silent_level
        )
        results = []
        for row, bias in enumerate(biases):
            acc = 0
            for group in range(matrix.groups):
                codes = matrix.codes[row, 32 * group : 32 * group + 32].tolist()
                p = sum(w * code for w, code in zip(codes, decoded[group], strict=False))
                d, b = int(matrix.d[row, group]), int(matrix.b[row, group])
                acc += scale[group] * (d * p + b * sums[group])
            k = 15 + 4 + f - g - int(matrix.exponent[row]) - base - n
            results.append(exact_saturate(bias + rescaled(acc, 32768, k), 24))
        return results

    def product(self, name, tensor, h):
        return self.multiply(name, tensor, h, self.rf, widened(self.model.biases[name], 12), 12)

    def added(self, name, h, y):
        biases = widened(self.model.biases[name], self.rf)
        biased = [exact_saturate(a + b, 24) for a, b in zip(h, biases, strict=True)]
        return self.multiply(name, name, y, 12, biased, self.rf)

    def embedded(self, token, position):
        embedding = self.model.matrices["embedding"]
        r, p = int(embedding.exponent[token]), self.model.positions
        place = widened((p.values[position], p.fraction), self.rf)
        h = []
        for i, w in enumerate(embedding.codes[token].tolist()):
            e = exact_saturate(
                exact_shift(w * int(embedding.d[token, i // 32]), -(r + self.rf)), 24
            )
            h.append(exact_saturate(e + place[i], 24))
        return self.layer_norm("embedding_norm", h)

    def attend(self, layer, qkv):
        c, width = self.config, self.config.head_width
        octave = self.table if self.table.name == "integer" else TABLES["octave"]
        signed = self.table if self.table.polarity else TABLES["companded"]
        q = self.model.quantizer(f"layers.{layer}.query", signed.name)
        p = self.model.quantizer(f"layers.{layer}.probability", octave.name)
        mixed = [[] for _ in qkv]
        for head in range(c.heads):
            part = [slice(width * (head + kind * c.heads), None) for kind in range(3)]
            keys = [slow_cache(words[part[1]][:width]) for words in qkv]
            values = [slow_cache(words[part[2]][:width]) for words in qkv]
            for token, words in enumerate(qkv):
                query = words[part[0]][:width]
                mixed[token] += slow_attention(
                    query, keys, values, self.table, q.constant, q.threshold, p.threshold
                )
        return mixed

    def encode(self, tokens):
        """Hidden words, pooled words, logits."""
        h = [self.embedded(token, position) for position, token in enumerate(tokens)]
        for n in range(self.config.layers):
            name = f"layers.{n}."
            mixed = self.attend(
                n, [self.product(f"{name}qkv", f"{name}attn_q", words) for words in h]
            )
            h = [
                self.layer_norm(f"{name}attn_norm", self.added(f"{name}attn_output", *both))
                for both in zip(h, mixed, strict=True)
            ]
            for token, words in enumerate(h):
                hidden = []
                for g in self.product(f"{name}ffn_up", f"{name}ffn_gate", words):
                    index = (g >> 5) + 512
                    phi = 0 if index < 0 else 32768 if index > 1023 else PHI[index]
                    hidden.append(exact_shift(g * phi, 15))
                h[token] = self.layer_norm(
                    f"{name}ffn_norm", self.added(f"{name}ffn_down", words, hidden)
                )
        pooled = h[0]
        if self.config.pooling == "mean":
            multiplier, exponent = mantissa(1 / Decimal(len(h)))
            columns = zip(*h, strict=True)
            pooled = [rescaled(sum(column), multiplier, -exponent) for column in columns]
        logits = self.product("head", "head", pooled) if self.config.labels else []
        return h, pooled, logits
