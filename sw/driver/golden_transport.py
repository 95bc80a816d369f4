"""A core made of software: the registers and the memory of the hardware, golden arithmetic inside.

It decodes the same image words as the hardware, so driver and image are tested without a simulator.
Faults are not emulated; cycles and stalls read as zero.
"""

from __future__ import annotations

import numpy as np
import torch

from hw.spec import registers
from hw.spec.formats import VERSION
from hw.spec.params import CoreParams
from hw.spec.registers import COUNTERS, REGISTERS, Error
from sw.driver.transport import Transport
from sw.golden.codes import Encoded, stack
from sw.golden.counters import event_counters
from sw.golden.engine import Engine, MatrixInstruction
from sw.golden.machine import ProgramError
from sw.golden.program import Interpreter

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
        self._engine = Engine(params, self._windows["memory"])
        self._vectors: dict[int, Encoded] = {}
        self._interpreter: Interpreter | None = None
        if params.vector_words:
            self._interpreter = Interpreter(params, self._windows["memory"])
            self._windows["best"] = np.zeros(2 * params.best, np.uint32)
            self._windows["vector"] = np.zeros(params.vector_words, np.uint32)

    def write(self, address: int, value: int) -> None:
        """Write one register; ``control`` acts at once."""
        name = _NAMES[address]
        if name.endswith("_data"):
            self.write_window(address, np.array([value], np.uint32))
        elif name != "control":
            self._registers[name] = value
        else:
            self._command(**REGISTERS["control"].unpack(value))

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

    @property
    def cycles(self) -> int:
        """Nothing takes time here."""
        return 0

    def tick(self, count: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def _advance(self, address: int, count: int) -> tuple[np.ndarray, int]:
        kind = _NAMES[address].removesuffix("_data")
        start = self._registers[f"{kind}_address"]
        self._registers[f"{kind}_address"] += count
        return self._windows[kind], start

    def _fields(self, name: str) -> dict[str, int]:
        return REGISTERS[name].unpack(self._registers[name])

    def _command(self, *, start: int, run: int, **_) -> None:
        if start:
            error = self._execute()
        elif run and self._interpreter:
            error = self._run(self._interpreter)
        else:
            return
        self._registers["status"] = REGISTERS["status"].pack(done=not error, error=error)

    def _run(self, interpreter: Interpreter) -> Error:
        token, position = self._registers["token"], self._registers["position"]
        error = Error.NONE
        try:
            interpreter.run(self._registers["program"], token=token, position=position)
        except ProgramError as stopped:
            error = stopped.error
        else:
            best = np.array(interpreter.best, "<i4")
            self._windows["best"][:] = best.reshape(-1).view(np.uint32)
        self._windows["vector"][:] = interpreter.words.numpy().astype("<i4").view(np.uint32)
        self._registers |= {**interpreter.counters, "instruction": interpreter.instruction}
        return error

    def _execute(self) -> Error:
        shape, mode = self._fields("shape"), self._fields("mode")
        multiplies = not mode["encode"]
        vector = mode["vector"] if self.params.batch > 1 else 0
        instruction = MatrixInstruction(
            inputs=shape["inputs"],
            tiles=shape["tiles"] if multiplies else 1,
            weight_base=self._registers["weight_base"] * multiplies,
            mode=mode,
            quantizer=self._fields("quantizer"),
            vectors=vector + 1 if multiplies else 1,
        )
        if error := self._engine.check(instruction):
            return error
        elements = self._windows["input"][: instruction.inputs]
        x = torch.from_numpy(elements.astype(np.uint16).view(np.int16)).long()
        encoded = self._engine.encode(x, instruction)
        counts = event_counters(encoded)
        self._vectors[vector] = encoded
        self._registers["scale_base"] = int(encoded.base)
        if multiplies:
            counts |= self._multiply([self._vectors[v] for v in range(vector + 1)], instruction)
        self._registers |= {name: counts[name] for name in COUNTERS if name in counts}
        return Error.NONE

    def _multiply(self, vectors: list[Encoded], instruction: MatrixInstruction) -> dict[str, int]:
        """Write the outputs, a tile's for one vector after the other; return the counters."""
        products = [self._engine.multiply(vector, instruction).numpy() for vector in vectors]
        tiles = np.stack(products).reshape(len(vectors), instruction.tiles, -1)
        words = tiles.transpose(1, 0, 2).ravel().astype("<i8").view("<u4")
        self._windows["output"][: len(words)] = words
        return self._engine.memory_counters(stack(vectors), instruction)
