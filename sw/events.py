"""Events of a run in open files: which channel fires when (``docs/api.md``)."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sw.convert.container import ConvertedModel, write_whole
from sw.energy.activity import Activity, vector_counts, weight_activity
from sw.errors import UserError
from sw.golden.codes import Encoded, encode
from sw.golden.linear import GoldenLinear, Linear, input_site
from sw.golden.matrix import Matrix
from sw.golden.sums import windows

#: Columns of an event, and their types.
COLUMNS = {
    "token": np.int32,
    "tensor": np.int32,
    "channel": np.int32,
    "window": np.uint8,
    "level": np.uint8,
    "sign": np.int8,
}

COARSE, FINE = 0, 1

_SUFFIXES = (".npz", ".csv")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Events:
    """Events of the inputs of weight matrices, in order of token, tensor and time.

    Attributes
    ----------
    tensors : list of str
        Names that column ``tensor`` counts.
    columns : dict of str to numpy.ndarray
        As of ``COLUMNS``, one entry an event. ``level`` is the step of level at which a channel
        fires, the largest first, in the ``window`` of coarse (0) or fine digits (1).
    scales : numpy.ndarray
        float64, shape (tokens, tensors, blocks of the longest): value of one level in units of the
        vector; 0 where a tensor has no such block.
    """

    tensors: list[str]
    columns: dict[str, np.ndarray]
    scales: np.ndarray

    def __len__(self) -> int:
        """Count the events."""
        return len(self.columns["token"])

    def of(self, *, token: int, tensor: str) -> dict[str, np.ndarray]:
        """Return the events of one vector, columns as above.

        Raises
        ------
        UserError
            If there is no such token or tensor.
        """
        if tensor not in self.tensors:
            raise UserError(f"tensors are {', '.join(self.tensors)}, not {tensor!r}")
        if not 0 <= token < len(self.scales):
            raise UserError(f"tokens are 0..{len(self.scales) - 1}, not {token}")
        columns = self.columns
        wanted = (columns["token"] == token) & (columns["tensor"] == self.tensors.index(tensor))
        return {name: column[wanted] for name, column in columns.items()}

    def save(self, path: Path) -> None:
        """Write ``.npz`` with everything, or ``.csv`` with the events.

        Raises
        ------
        UserError
            If the name ends otherwise, or the file cannot be written.
        """
        check_name(path)
        if path.suffix == ".csv":
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(COLUMNS)
            names = np.array(self.tensors, dtype=object)[self.columns["tensor"]]
            writer.writerows(zip(*(self.columns | {"tensor": names}).values(), strict=True))
            write_whole(path, text.getvalue().encode())
            return
        data = io.BytesIO()
        arrays: dict[str, Any] = {"tensors": np.array(self.tensors), "scales": self.scales}
        arrays |= self.columns
        np.savez_compressed(data, **arrays)
        write_whole(path, data.getvalue())


def check_name(path: Path) -> Path:
    """Return a file name that events can be written to.

    Raises
    ------
    UserError
        If its ending is not known.
    """
    if path.suffix not in _SUFFIXES:
        raise UserError(f"--dump-events needs a file that ends in .npz or .csv, not {path.name!r}")
    return path


def load_events(path: Path) -> Events:
    """Read what `Events.save` wrote as ``.npz``.

    Raises
    ------
    UserError
        If the file is missing or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return Events(
                tensors=[str(name) for name in data["tensors"]],
                columns={name: data[name] for name in COLUMNS},
                scales=data["scales"],
            )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} holds no events: {error}") from None


class Recorder(GoldenLinear):
    """Golden product, or a device's, that keeps the events of every vector.

    Attributes
    ----------
    inner : callable or None
        Multiplies in place of the golden product, such as a device.
    activities : dict of str to Activity
        What every tensor did.
    work : dict of str to dict
        Beats and cycles by tensor: of the device, or as the golden product predicts them.
    """

    inner: Linear | None = None

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.activities: dict[str, Activity] = {}
        self.work: dict[str, dict[str, int]] = {}
        self._tokens: dict[str, int] = {}
        self._parts: list[tuple[str, int, Encoded]] = []

    def __call__(self, name: str, matrix: Matrix, x: Tensor):
        """Multiply vectors and keep their codes."""
        tensor = input_site(name)
        quantizer = self.model.quantizer(tensor, self.table.name)
        encoded = encode(
            x if x.dim() == 2 else x[None],
            table=self.table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
            silent_level=quantizer.silent_level,
        )
        first = self._tokens.get(tensor, 0)
        self._tokens[tensor] = first + len(encoded.base)
        self._parts.append((tensor, first, encoded))
        weights = matrix.weights
        activity = self.activities.setdefault(
            tensor, weight_activity(tensor, weights.format, weights.rows)
        )
        counts = {key: int(count.sum()) for key, count in vector_counts(encoded).items()}
        activity.add(outputs=weights.rows, groups=encoded.scales.numel(), **counts)
        work = self.work.setdefault(tensor, {"beats": 0, "cycles": 0})
        if self.inner is not None:
            result = self.inner(name, matrix, x)
            done = getattr(self.inner, "last").counters  # noqa: B009
            work["beats"] += done["beats_read"] + done["beats_hole"]
            work["cycles"] += done["cycles"]
            return result
        before = dict(self.counters)
        result = super().__call__(name, matrix, x)
        work["beats"] += (self.counters["beats_read"] or 0) - (before["beats_read"] or 0)
        work["cycles"] += (self.counters["bound_cycles"] or 0) - (before["bound_cycles"] or 0)
        return result

    def events(self) -> Events:
        """Put all events in order."""
        tensors = list(self.activities)
        blocks = max(part.scales.shape[-1] for _, _, part in self._parts)
        scales = np.zeros((max(self._tokens.values()), len(tensors), blocks))
        rows = []
        for tensor, first, encoded in self._parts:
            number = tensors.index(tensor)
            unit = (encoded.scales << encoded.base[:, None]).double().numpy() / 16
            scales[first : first + len(unit), number, : unit.shape[1]] = unit
            for window, levels in enumerate(windows(encoded)):
                flat = levels.flatten(1).numpy()
                token, channel = np.nonzero(flat)
                level = flat[token, channel]
                rows.append(
                    np.stack(
                        [
                            token + first,
                            np.full_like(token, number),
                            channel,
                            np.full_like(token, window),
                            np.abs(level),
                            np.sign(level),
                        ]
                    )
                )
        table = np.concatenate(rows, axis=1)
        order = np.lexsort((table[2], -table[4], table[3], table[2] // 32, table[1], table[0]))
        columns = {
            name: table[i, order].astype(kind) for i, (name, kind) in enumerate(COLUMNS.items())
        }
        return Events(tensors=tensors, columns=columns, scales=scales)


def recorder_of(golden: Any, model: ConvertedModel) -> Recorder:
    """Let a golden model record its events, on whatever it multiplies.

    Parameters
    ----------
    golden : GoldenModel
        Its product, or its ``linear``, is exchanged for a recorder's.
    model : ConvertedModel
        Source of the quantizers.
    """
    inner = golden.golden
    recorder = Recorder(
        model,
        table=golden.table,
        lanes=inner.lanes,
        tile_lanes=inner.tile_lanes,
        integrator=inner.integrator,
        memory=inner.memory,
        hole=inner.hole,
        batch=inner.batch,
    )
    if golden.linear is None:
        golden.golden = recorder
    else:
        recorder.inner, golden.linear = golden.linear, recorder
    return recorder
