"""A core made of software: the registers and the memory of the hardware, golden arithmetic inside.

It decodes the same image words as the hardware, so driver and image are tested without a simulator.
Faults are not emulated; cycles and stalls read as zero.
"""

from __future__ import annotations

import numpy as np
import torch

from hw.spec import registers
from hw.spec.codes import BLOCK, TABLES
from hw.spec.formats import FORMATS, SUM_BEATS, SUM_BITS, VERSION, W4, WeightFormat
from hw.spec.params import CoreParams
from hw.spec.registers import COUNTERS, REGISTERS, Error
from sw.driver.transport import Transport
from sw.golden.codes import Encoded, encode, from_codes
from sw.golden.counters import event_counters, memory_counters

_NAMES = {register.address: name for name, register in REGISTERS.items()}


class GoldenTransport(Transport):
    """Transport to a core that is computed by the golden model.

    Parameters
    ----------
    params : CoreParams
        Configuration that the core shall have.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        major, minor = map(int, VERSION.split("."))
        self._registers = dict.fromkeys(REGISTERS, 0) | {
            "magic": registers.MAGIC,
            "version": REGISTERS["version"].pack(major=major, minor=minor),
            "hash_low": params.hash & 0xFFFFFFFF,
            "hash_high": params.hash >> 32,
        }
        self._windows = {
            "memory": np.zeros(params.memory_beats * params.words_per_beat, np.uint32),
            "input": np.zeros(params.max_inputs, np.uint32),
            "output": np.zeros(2 * params.max_outputs, np.uint32),
        }

    def write(self, address: int, value: int) -> None:
        """Write one register; ``control`` acts at once."""
        name = _NAMES[address]
        if name.endswith("_data"):
            self.write_window(address, np.array([value], np.uint32))
        elif name != "control":
            self._registers[name] = value
        elif REGISTERS["control"].unpack(value)["start"]:
            error = self._execute()
            self._registers["status"] = REGISTERS["status"].pack(done=not error, error=error)

    def read(self, address: int) -> int:
        """Read one register."""
        name = _NAMES[address]
        if name.endswith("_data"):
            return int(self.read_window(address, 1)[0])
        return self._registers[name]

    def write_window(self, address: int, words: np.ndarray) -> None:
        """Write words to a data window."""
        window, start = self._advance(address, len(words))
        window[start : start + len(words)] = words

    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read words from a data window."""
        window, start = self._advance(address, count)
        return window[start : start + count].copy()

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Return at once: instructions take no time here."""
        if self.read(address) & mask != value:
            raise TimeoutError(f"register {_NAMES[address]} never became {value:#x}")

    def load(self, address: int, octets: np.ndarray) -> None:
        """Write bytes of external memory."""
        octets = np.ascontiguousarray(octets).view(np.uint8).ravel()
        self._windows["memory"].view(np.uint8)[address : address + len(octets)] = octets

    def dump(self, address: int, count: int) -> np.ndarray:
        """Read bytes of external memory."""
        return self._windows["memory"].view(np.uint8)[address : address + count].copy()

    def close(self) -> None:
        """Do nothing."""

    def _advance(self, address: int, count: int) -> tuple[np.ndarray, int]:
        kind = _NAMES[address].removesuffix("_data")
        start = self._registers[f"{kind}_address"]
        self._registers[f"{kind}_address"] += count
        return self._windows[kind], start

    def _fields(self, name: str) -> dict[str, int]:
        return REGISTERS[name].unpack(self._registers[name])

    def _execute(self) -> Error:
        shape, mode = self._fields("shape"), self._fields("mode")
        inputs, tiles, lanes = shape["inputs"], shape["tiles"], self.params.tile_lanes
        layout = next(f for f in FORMATS.values() if f.number == mode["format"])
        table = next((t for t in TABLES.values() if t.number == mode["table"]), None)
        if not 0 < inputs <= self.params.max_inputs:
            return Error.INPUTS
        if not 0 < tiles * layout.outputs(lanes) <= self.params.max_outputs:
            return Error.OUTPUTS
        if table is None or self.params.lanes % layout.lanes_per_output or not self._suits(table):
            return Error.MODE
        groups = -(-inputs // BLOCK)
        base = self._registers["weight_base"]
        beats = layout.group_beats(sums=bool(mode["sums"])) * self.params.sub_tiles
        end = base + tiles * groups * beats
        if end > self.params.memory_beats or base % self.params.alignment:
            return Error.MEMORY
        encoded = self._encode(inputs, table, bool(mode["codes"]))
        values, excess = self._weights(layout, base, tiles, inputs, sums=bool(mode["sums"]))
        accumulators = values @ encoded.scaled.numpy()
        silence = encoded.silent_level - encoded.table.zero
        accumulators += silence * (excess @ encoded.scales.numpy())
        self._windows["output"][: 2 * len(accumulators)] = accumulators.astype("<i8").view("<u4")
        rows = tiles * layout.outputs(lanes)
        counts = event_counters(encoded) | memory_counters(
            encoded,
            weight_format=layout,
            rows=rows,
            lanes=self.params.lanes,
            tile_lanes=lanes,
            integrator=self.params.integrator,
            memory=self.params.config.memory,
            hole=self.params.hole,
        )
        self._registers |= {name: counts.get(name, 0) for name in COUNTERS}
        self._registers["scale_base"] = int(encoded.base)
        return Error.NONE

    def _suits(self, table) -> bool:
        """Whether mode and silent level go with the table."""
        level, mode = self._fields("quantizer")["silent"], self._fields("mode")
        lowest = table.lowest if table.masked else table.silent_level
        highest = table.highest if table.masked else table.silent_level
        return (
            lowest <= level <= highest
            and not (table.zero if mode["codes"] else not table.linear)
            and (level == table.zero or bool(mode["sums"]))
        )

    def _encode(self, inputs: int, table, codes: bool) -> Encoded:
        x = torch.from_numpy(self._windows["input"][:inputs].astype(np.uint16).view(np.int16))
        if codes:
            return from_codes(x.long(), table=table)
        quantizer = self._fields("quantizer")
        return encode(
            x.long(),
            table=table,
            constant=quantizer["constant"],
            threshold=quantizer["threshold"],
            silent_level=quantizer["silent"],
        )

    def _weights(
        self, layout: WeightFormat, base: int, tiles: int, inputs: int, *, sums: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode some tiles.

        Returns
        -------
        values : ndarray
            ``d * w + b``, int64, shape (outputs, inputs).
        excess : ndarray
            By how much ``d * R`` of memory is above what the weights say: 0 if R is right, int64,
            shape (outputs, groups).
        """
        lanes, words = self.params.lanes, self.params.words_per_beat
        groups = -(-inputs // BLOCK)
        parts, head = self.params.sub_tiles, layout.head_beats(sums=sums)
        beats = tiles * groups * layout.group_beats(sums=sums) * parts
        memory = self._windows["memory"][base * words : (base + beats) * words]
        nibbles = (memory[:, None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15).astype(np.int64)
        nibbles = nibbles.reshape(tiles, groups, -1, words * 8)[..., :lanes]
        heads, rows = np.split(nibbles, [head * parts], axis=2)
        # From the parts of a tile, which share its rows, to tiles of the core's width.
        heads = heads.reshape(tiles, groups, parts, head, lanes).transpose(0, 2, 1, 3, 4)
        rows = rows.reshape(tiles, groups, BLOCK, parts, lanes).transpose(0, 3, 1, 2, 4)
        rows = rows.reshape(tiles * parts, groups, BLOCK, lanes)
        scales, row_sums = np.split(heads, [layout.scale_beats], axis=3)
        scales = scales.reshape(tiles * parts, groups, -1, layout.outputs(lanes), 2)
        # Shape (tiles, groups, d and perhaps b, outputs).
        mantissas = ((scales[..., 0] + 16 * scales[..., 1]) ^ 128) - 128
        w = (rows ^ 8) - 8
        d, b = mantissas[:, :, :1], mantissas[:, :, 1:]
        values = d * w + b if layout is W4 else d * (_join(w) + 8)
        values = values.transpose(0, 3, 1, 2).reshape(-1, groups * BLOCK)[:, :inputs]
        if not sums:
            return values, np.zeros((len(values), groups), np.int64)
        real = (np.arange(groups * BLOCK) < inputs).reshape(groups, BLOCK, 1)
        lane_sums = row_sums.reshape(*w.shape[:2], lanes, SUM_BEATS) << np.arange(0, SUM_BITS, 4)
        excess = ((lane_sums.sum(-1) ^ 1 << SUM_BITS - 1) - (1 << SUM_BITS - 1)) - (w * real).sum(2)
        excess = d[:, :, 0] * (excess if layout is W4 else _join(excess))
        return values, excess.transpose(0, 2, 1).reshape(-1, groups)


def _join(lanes: np.ndarray) -> np.ndarray:
    """``16 * h + l`` of neighbouring lanes."""
    return 16 * lanes[..., 1::2] + lanes[..., 0::2]
