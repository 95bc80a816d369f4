"""The driver of a core: one class, whatever the transport."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import BLOCK, TABLES
from hw.spec.params import CoreParams
from hw.spec.registers import ENCODE_COUNTERS, REGISTERS, Error
from sw.compile.image import DeviceImage, MatrixImage, needs_sums
from sw.convert.container import Quantizer
from sw.driver.core import Core
from sw.driver.result import BatchResult, DeviceError, Result
from sw.driver.synapse_memory import SynapseMemory
from sw.driver.transport import Transport
from sw.errors import UserError


class Device(Core):
    """A core and the model in it.

    Parameters
    ----------
    transport : Transport
        How to reach the core.
    params : CoreParams
        The configuration that the core is expected to have.

    Attributes
    ----------
    loaded_words : int
        32-bit words of weights that were written to synapse memory so far.

    Raises
    ------
    UserError
        If something else answers, or a core of another version or configuration.
    """

    def __init__(self, transport: Transport, params: CoreParams):
        super().__init__(transport, params)
        self._memory = SynapseMemory(transport, params)
        self.loaded_words = 0
        self._image: DeviceImage | None = None
        self._resident: dict[tuple[str, int, int], int] = {}
        self._free = 0
        self._fault = False

    def load(self, image: DeviceImage) -> None:
        """Take a model; its matrices go to the core when they are first used.

        Raises
        ------
        UserError
            If the image was made for another configuration.
        """
        if image.configuration != f"{self.params.hash:016x}":
            raise UserError(
                f"the image was compiled for configuration {image.configuration}, the core has "
                f"{self.params.hash:016x}; compile the model for this core"
            )
        self._image = image
        self._forget()

    def matvec(self, name: str, x: np.ndarray, *, quantizer: Quantizer, table: str) -> Result:
        """Multiply a matrix of the loaded model by a vector, on the core.

        Parameters
        ----------
        name : str
            Matrix of the image.
        x : numpy.ndarray
            Integers in -32767..32767, one per input.
        quantizer : Quantizer
            Scale constant, threshold and silent level of this input.
        table : str
            Code table.

        Raises
        ------
        UserError
            If the image was compiled for a table with other needs of row sums.
        """
        if x.ndim != 1:
            raise ValueError(f"matvec takes one vector, got shape {x.shape}; use matmul")
        result = self.matmul(name, x[None], quantizer=quantizer, table=table)
        return Result(
            accumulators=result.accumulators[0], base=result.bases[0], counters=result.counters
        )

    def matmul(
        self, name: str, vectors: np.ndarray, *, quantizer: Quantizer, table: str
    ) -> BatchResult:
        """Multiply a matrix of the loaded model by several vectors, on the core.

        The core takes as many at once as its configuration's ``batch`` and reads a row of weights
        once for all of them.

        Parameters
        ----------
        name : str
            Matrix of the image.
        vectors : numpy.ndarray
            Integers in -32767..32767, shape (vectors, inputs), at least one vector.
        quantizer : Quantizer
            Scale constant, threshold and silent level of these inputs.
        table : str
            Code table.

        Raises
        ------
        UserError
            If the image was compiled for a table with other needs of row sums.
        """
        matrix = self._matrix(name)
        if matrix.sums != needs_sums(table, quantizer.silent_level):
            raise UserError(
                f"the image was compiled for code table {self._loaded().table}, whose row sums do "
                f"not suit {table}; compile the model with --code {table}"
            )
        if vectors.ndim != 2 or vectors.shape[1] != matrix.inputs or not len(vectors):
            raise ValueError(
                f"{name} takes vectors of {matrix.inputs} inputs, got shape {vectors.shape}"
            )
        level = quantizer.silent_level
        fields = {"constant": quantizer.constant, "threshold": quantizer.threshold}
        self._write("quantizer", REGISTERS["quantizer"].pack(**fields, silent=level))
        mode = {"table": TABLES[table].number, "format": matrix.format.number, "sums": matrix.sums}
        batches, bases, counters = [], [], dict.fromkeys(self.counter_names, 0)
        for first in range(0, len(vectors), self.params.batch):
            batch = vectors[first : first + self.params.batch]
            for number, x in enumerate(batch):
                last = number + 1 == len(batch)
                self._write_input(x)
                self._write("mode", REGISTERS["mode"].pack(**mode, vector=number, encode=not last))
                if last:
                    batches.append(self._run_tiles(name, matrix, len(batch), counters))
                else:
                    self._execute(matrix.inputs, 1, 0)
                    self._count(counters, (*ENCODE_COUNTERS, "cycles"))
                bases.append(self._read("scale_base"))
        return BatchResult(
            accumulators=np.concatenate(batches), bases=tuple(bases), counters=counters
        )

    def outputs_at_once(self, name: str) -> int:
        """Count the outputs of the first instruction that a matrix takes."""
        matrix = self._matrix(name)
        outputs = self._chunk_tiles(matrix) * matrix.format.outputs(self.params.tile_lanes)
        return min(outputs, matrix.rows)

    def inject(self, *, kind: int, index: int, bit: int) -> None:
        """Invert one bit of an event or an output of the next instruction, for tests.

        Of a batch, one of that event of every vector; outputs count as they are computed.
        """
        self._write("fault", REGISTERS["fault"].pack(kind=kind, bit=bit, index=index))
        self._fault = True

    def flip_weight_bit(self, name: str, row: int, column: int, bit: int) -> None:
        """Invert one bit of a weight in synapse memory, for tests."""
        matrix = self._matrix(name)
        layout, chunk = matrix.format, self._chunk_tiles(matrix)
        tile, output = divmod(row, layout.outputs(self.params.tile_lanes))
        part, lane = divmod(output * layout.lanes_per_output + bit // 4, self.params.lanes)
        base = self._ensure_resident(name, matrix, tile - tile % chunk, chunk)
        groups = matrix.words.shape[1]
        group = (tile % chunk) * groups + column // BLOCK
        place = layout.head_beats(sums=matrix.sums) + column % BLOCK
        beat = base + group * matrix.group_beats + place * self.params.sub_tiles + part
        words = self._memory.read(beat)
        words[lane // 8] ^= np.uint32(1 << lane % 8 * 4 + bit % 4)
        self._memory.write(beat, words)

    def _loaded(self) -> DeviceImage:
        if self._image is None:
            raise UserError("the device holds no model; call load first")
        return self._image

    def _matrix(self, name: str) -> MatrixImage:
        return self._loaded().matrices[name]

    def _run_tiles(
        self, name: str, matrix: MatrixImage, vectors: int, counters: dict[str, int]
    ) -> np.ndarray:
        """Multiply the encoded vectors; return their outputs, and add to the counters."""
        per_tile = matrix.format.outputs(self.params.tile_lanes)
        chunk = self._chunk_tiles(matrix, vectors)
        parts = []
        for first in range(0, len(matrix.words), chunk):
            base = self._ensure_resident(name, matrix, first, chunk)
            tiles = min(chunk, len(matrix.words) - first)
            self._name_arrays(name, first)
            self._execute(matrix.inputs, tiles, base, vectors)
            self._clear_fault()
            # A tile's outputs come for one vector after the other; what the last lacks is not read.
            outputs = min(tiles * per_tile, matrix.rows - first * per_tile)
            words = np.zeros(tiles * vectors * per_tile, np.int64)
            count = len(words) - (tiles * per_tile - outputs)
            words[:count] = self._read_output(count)
            ordered = words.reshape(tiles, vectors, per_tile).transpose(1, 0, 2)
            parts.append(ordered.reshape(vectors, -1)[:, :outputs])
            names = self.counter_names
            self._count(counters, [c for c in names if not first or c not in ENCODE_COUNTERS])
        return np.concatenate(parts, axis=1)

    def _chunk_tiles(self, matrix: MatrixImage, vectors: int = 1) -> int:
        """Tiles that one instruction takes: as many as memory and output buffer hold."""
        beats = matrix.words.shape[1] * matrix.words.shape[2]
        fit = self.params.memory_beats // beats
        if not fit:
            raise UserError(
                f"one tile of {matrix.inputs} inputs needs {beats} beats, the core's memory has "
                f"{self.params.memory_beats}; choose a larger configuration"
            )
        outputs = vectors * matrix.format.outputs(self.params.tile_lanes)
        return min(fit, self.params.max_outputs // outputs)

    def _ensure_resident(self, name: str, matrix: MatrixImage, first: int, chunk: int) -> int:
        """Beat address of some tiles, loading them if they are not in memory."""
        key = (name, first, chunk)
        if key not in self._resident:
            words = matrix.words[first : first + chunk]
            beats = words.size // words.shape[-1]
            if self._free + beats > self.params.memory_beats:
                self._forget()
            self._memory.write(self._free, words.reshape(-1))
            self.loaded_words += words.size
            self._resident[key] = self._free
            self._free += beats
        return self._resident[key]

    def _forget(self) -> None:
        self._resident.clear()
        self._free = 0

    def _name_arrays(self, name: str, tile: int) -> None:
        """Tell crossbars whose cells and noise theirs are."""
        if self.params.crossbar:
            number = list(self._loaded().matrices).index(name)
            self._write("array", REGISTERS["array"].pack(matrix=number, tile=tile))

    def _execute(self, inputs: int, tiles: int, weight_base: int, vectors: int = 1) -> None:
        self._write("shape", REGISTERS["shape"].pack(inputs=inputs, tiles=tiles))
        self._write("weight_base", weight_base)
        state = self._command("start", self._longest_product(inputs, tiles * vectors))
        if state["error"] or not state["done"]:
            error = Error(state["error"])
            raise DeviceError(
                f"the core refused {inputs} inputs, {tiles} tiles at beat {weight_base}: "
                f"{error.name.lower()} (code {error.value})"
            )

    def _clear_fault(self) -> None:
        if self._fault:
            self._write("fault", 0)
            self._fault = False
