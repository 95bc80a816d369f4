"""Matrices on memristor crossbars, in exact integers (``docs/crossbar.md``)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import BLOCK
from hw.spec.crossbar import (
    FRACTION,
    GAIN_FRACTION,
    READ_KIND,
    SQUARE_SHIFT,
    TAPS,
    WIRE_FRACTION,
    Crossbar,
    IdealConverter,
)
from sw.convert.container import WeightMatrix
from sw.golden.cells import conductances
from sw.golden.codes import Encoded
from sw.golden.noise import digest_lines, gauss, rotate_digest, sample, scaled
from sw.golden.sums import windows


class Activity(NamedTuple):
    """What arrays did, for one tile: steps read, readings converted a column, lines raised."""

    steps: int
    readings: int
    lines: int


def nibbles(weights: WeightMatrix) -> Tensor:
    """Weights -8..7 by input and column, int64, shape (inputs, columns)."""
    codes = torch.from_numpy(weights.codes).long().T
    if weights.format.name == "w4":
        return codes
    return torch.stack([(codes & 15) - 8, codes >> 4], -1).flatten(-2)


class CrossbarArrays:
    """The arrays of one matrix: programmed once, read in every step of a window.

    Parameters
    ----------
    weights : Tensor
        int64, -8..7, shape (inputs, columns).
    crossbar : Crossbar
        What they are like.
    number : int
        Number of the matrix.
    lanes : int
        Outputs of an array.
    cells : mapping of str to Tensor, optional
        Conductances as ``cells`` below, instead of programming them.

    Attributes
    ----------
    pulses : int
        Times that cells were written.
    cells : dict of str to Tensor
        Conductances by kind (number of the cell in the mapping, and word line), int32, shape
        (rows of all arrays, columns).
    clipped, converted : int
        Conversions whose current lay beyond the converter's range, and all of them; counted where
        ``counts_clipping`` is set.

    Raises
    ------
    ValueError
        If the mapping cannot hold a weight.
    """

    def __init__(
        self,
        weights: Tensor,
        crossbar: Crossbar,
        *,
        number: int,
        lanes: int,
        cells: Mapping[str, Tensor] | None = None,
    ):
        mapping = crossbar.cells
        wrong = [w for w in weights.unique().tolist() if not mapping.holds(w)]
        if wrong:
            count = sum(int((weights == w).sum()) for w in wrong)
            raise ValueError(
                f"mapping {crossbar.mapping!r} cannot hold {count} weights of {wrong[0]}; choose "
                "another mapping, or clip them"
            )
        self.crossbar, self.number = crossbar, number
        self.inputs, self.columns = weights.shape
        self.arrays = -(-self.inputs // crossbar.rows)
        self.pulses = self.clipped = self.converted = 0
        self.counts_clipping = False
        self.cells = dict(cells or {})
        self._wired = bool(crossbar.wire_factor)
        padded = functional.pad(weights, (0, 0, 0, self.arrays * crossbar.rows - self.inputs))
        self._lines = [self._program(padded, r, lanes) for r in range(len(mapping.readings))]
        self._amplitudes = torch.tensor(crossbar.read_amplitudes, dtype=torch.int32)

    def _program(self, weights: Tensor, reading: int, lanes: int) -> list[tuple[int, Tensor]]:
        """Signs and conductances of a reading's columns, float32, (arrays, lines, columns)."""
        crossbar, mapping = self.crossbar, self.crossbar.cells
        rows = torch.arange(len(weights), dtype=torch.int32)
        every = torch.arange(self.columns, dtype=torch.int32)
        found = []
        for index, column in enumerate(mapping.readings[reading].columns):
            places, spread = every, 1
            if column.shared:
                places, spread = every[::lanes], lanes
            lines = []
            for polarity in range(crossbar.polarities):
                held = (-weights if polarity else weights)[:, ::spread]
                total = torch.zeros(held.shape, dtype=torch.int32)
                for kind, (r, c, cell) in enumerate(mapping.cells):
                    if (r, c) == (reading, index):
                        name = f"{kind}.{polarity}"
                        if name not in self.cells:
                            self.cells[name], pulses = conductances(
                                held,
                                cell,
                                crossbar.device,
                                seed=crossbar.seed,
                                rows=rows,
                                columns=places,
                                kind=2 * kind + polarity,
                                number=self.number,
                            )
                            self.pulses += pulses
                        total += cell.radix * self.cells[name]
                spread_out = total.repeat_interleave(spread, 1)[:, : self.columns]
                lines.append(spread_out.float().unflatten(0, (self.arrays, crossbar.rows)))
            found.append((column.sign, torch.stack(lines, 1)))  # (arrays, polarities, rows, C)
        if self._wired:
            return found
        signed = torch.stack([sign * values for sign, values in found])
        return [(1, signed.sum(0))]

    def currents(self, raised: Tensor, reading: int) -> Tensor:
        """Sum up a reading's columns.

        Parameters
        ----------
        raised : Tensor
            Lines that are raised, float32 of 0 and 1, shape (arrays, vectors, polarities, rows).
        reading : int
            Number of the reading.

        Returns
        -------
        Tensor
            Currents, int32, shape (arrays, vectors, columns).
        """
        total: Tensor | int = 0
        for sign, values in self._lines[reading]:
            if not self._wired:
                return torch.bmm(raised.flatten(2), values.flatten(1, 2)).int()
            parts = raised.unflatten(-1, (TAPS, -1)).permute(0, 3, 1, 2, 4).flatten(3)
            cells = values.unflatten(2, (TAPS, -1)).transpose(1, 2).flatten(2, 3)
            running = torch.matmul(parts, cells).int()  # (arrays, taps, vectors, columns)
            for tap in range(1, TAPS):
                running[:, tap] += running[:, tap - 1]
            current = running[:, -1].clone()
            running >>= SQUARE_SHIFT
            squares = running.float().square_() if self._narrow else running.double().square_()
            loss = squares.sum(1).long() * self.crossbar.wire_factor >> WIRE_FRACTION
            total = total + sign * (current - loss.int()).clamp_min_(0)
        assert isinstance(total, Tensor)
        return total

    @functools.cached_property
    def _narrow(self) -> bool:
        """Whether sums of squares are exact in float32."""
        largest = max(
            float(values.clamp_min(0).sum((1, 2)).amax())
            for lines in self._lines
            for _, values in lines
        )
        return TAPS * (largest / 2**SQUARE_SHIFT) ** 2 < 2**24

    def group_sums(self, encoded: Encoded) -> tuple[Tensor, Activity]:
        """Show a whole window to the arrays.

        Parameters
        ----------
        encoded : Encoded
            Vectors, codes of shape (vectors, G, 32).

        Returns
        -------
        sums : Tensor
            P without the part of silent codes, int32, shape (arrays, vectors, columns).
        activity : Activity
            What arrays did, in one tile.
        """
        rows, vectors = self.crossbar.rows, len(encoded.decoded)
        potential = torch.zeros(self.arrays, vectors, self.columns, dtype=torch.int32)
        digest = torch.zeros(self.arrays, vectors, dtype=torch.int32)
        total = Activity(0, 0, 0)
        for levels in windows(encoded):
            potential <<= 4
            shown = functional.pad(levels, (0, 0, 0, self.arrays * rows // BLOCK - levels.shape[1]))
            shown = shown.reshape(vectors, self.arrays, rows).transpose(0, 1).contiguous()
            window = _Window(self, shown, digest)
            potential += window.run()
            digest = window.digest
            total = Activity(*map(sum, zip(total, window.activity, strict=True)))
        limit = 1 << self.crossbar.sum_width - 1
        return potential.clamp_(-limit, limit - 1), total


class _Window:
    """One window of all arrays, step by step."""

    def __init__(self, arrays: CrossbarArrays, levels: Tensor, digest: Tensor):
        self.arrays, self.crossbar, self.levels = arrays, arrays.crossbar, levels
        self.digest, self.activity = digest, Activity(0, 0, 0)
        self._columns = torch.arange(arrays.columns, dtype=torch.int32)
        self._shape = (*levels.shape[:2], arrays.columns)
        self._analog: dict[tuple[int, int], Tensor] = {}
        self._read: dict[tuple[int, int], Tensor] = {}

    def run(self) -> Tensor:
        """Sum up steps times their levels, int32."""
        total = torch.zeros(self._shape, dtype=torch.int32)
        magnitudes = self.levels.abs()
        for level in reversed(magnitudes.unique().tolist()):
            if level:
                signs = torch.where(magnitudes == level, self.levels.sign(), 0)
                self._step(total, signs, level)
        if self.crossbar.readout == "window":
            total += self._convert_window()
        return total

    def _step(self, total: Tensor, signs: Tensor, level: int) -> None:
        fires = (signs != 0).any(-1)
        lines = digest_lines(signs)
        key = self.digest ^ lines
        step = torch.zeros(self._shape, dtype=torch.int32)
        planes = torch.stack([signs > 0, signs < 0], 2)  # (arrays, vectors, polarities, rows)
        phases = [planes] if self.crossbar.phases == 1 else [planes[:, :, :1], planes[:, :, 1:]]
        for phase, raised in enumerate(phases):
            count = raised.sum((2, 3))
            some = count > 0
            if not some.any():
                continue
            for reading, kind in enumerate(self.crossbar.cells.readings):
                i = self.arrays.currents(raised.float(), reading)
                i = self._noise(i, some, count, key, reading, phase)
                if self.crossbar.readout == "window":
                    self._keep(i, some, reading, phase, level)
                    continue
                self._check_range(i, some, kind.signed)
                value = convert(self.crossbar, i, kind.signed).masked_fill_(~some[..., None], 0)
                step += (-kind.factor if phase else kind.factor) * value
            readings = len(self.crossbar.cells.readings) * (self.crossbar.readout == "step")
            more = Activity(int(some.sum()), int(some.sum()) * readings, int(count.sum()))
            self.activity = Activity(*map(sum, zip(self.activity, more, strict=True)))
        limit = (1 << self.crossbar.step_width - 1) - 1
        total += step.clamp_(-limit, limit) * level
        self.digest = torch.where(fires, rotate_digest(key), self.digest)

    def _noise(self, i, some, count, key, reading, phase) -> Tensor:
        arrays = self.arrays
        table = arrays._amplitudes[reading]
        if not table.any():
            return i
        shown = some.all() or some.nonzero(as_tuple=True)
        everywhere = shown is True or isinstance(shown, Tensor)
        where = (slice(None), slice(None)) if everywhere else shown
        number = torch.arange(arrays.arrays, dtype=torch.int32)[:, None].expand(count.shape)
        kind = READ_KIND + 2 * reading + phase
        c1 = (self._columns + (((kind << 24) ^ 0x80000000) - 0x80000000)).int()
        words = sample(
            self.crossbar.seed,
            key[where][..., None],
            (number[where] + (arrays.number << 16)).int()[..., None],
            c1,
        )
        amplitude = table[count[where]][..., None]
        i[where] += scaled(amplitude, gauss(*words))
        return i

    def _check_range(self, i: Tensor, some: Tensor, signed: bool) -> None:
        """Count the conversions that end at a code because there is none beyond."""
        arrays, converter = self.arrays, self.crossbar.converter
        if not arrays.counts_clipping:
            return
        arrays.converted += int(some.sum()) * arrays.columns
        if not isinstance(converter, IdealConverter):
            wide = dataclasses.replace(converter, bits=14)
            exact = convert(self.crossbar.replace(converter=wide), i, signed)
            beyond = exact != convert(self.crossbar, i, signed)
            arrays.clipped += int((beyond & some[..., None]).sum())

    def _keep(self, i, some, reading, phase, level) -> None:
        """Let currents add up in the analog domain."""
        place = reading, phase
        more = i.long().masked_fill_(~some[..., None], 0) * level
        self._analog[place] = self._analog.get(place, 0) + more
        self._read[place] = self._read.get(place, torch.zeros_like(some)) | some

    def _convert_window(self) -> Tensor:
        """Convert what has added up, where a line was raised."""
        total = torch.zeros(self._shape, dtype=torch.int32)
        for (reading, phase), charge in self._analog.items():
            kind, some = self.crossbar.cells.readings[reading], self._read[reading, phase]
            self._check_range(charge, some, kind.signed)
            value = convert(self.crossbar, charge, kind.signed).masked_fill_(~some[..., None], 0)
            total += ((-kind.factor if phase else kind.factor) * value).int()
            self.activity = self.activity._replace(
                readings=self.activity.readings + int(some.sum())
            )
        return total


def convert(crossbar: Crossbar, i: Tensor, signed: bool) -> Tensor:
    """Values of the codes of a converter, in levels."""
    converter = crossbar.converter
    if isinstance(converter, IdealConverter):
        return (i + (1 << FRACTION - 1)) >> FRACTION
    if converter.gain != 1 << GAIN_FRACTION:
        i = (i.long() * converter.gain + (1 << GAIN_FRACTION - 1)) >> GAIN_FRACTION
    x = i + (converter.offset + (converter.step >> 1 if converter.nearest else 0))
    shift = converter.step.bit_length() - 1
    if converter.step == 1 << shift:
        code = x >> shift
    else:
        code = torch.div(x, converter.step, rounding_mode="floor")
    return code.clamp_(*converter.range(signed)) * converter.value
