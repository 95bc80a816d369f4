"""What an instruction of a device program reads and writes (``docs/program.md``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hw.spec.formats import FORMATS
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Instruction, Opcode, Unit, mode
from sw.golden.machine import counted, moved, operands, tiles
from sw.golden.tiles import tile_beats

#: Spaces of addresses; all other places have a name each.
WORDS, BYTES = "words of vector memory", "bytes of device memory"

#: First address and the one behind the last.
Range = tuple[int, int]

_SCALARS = {
    Drain.NORMED: ("n", "R", "u", "E"),
    Drain.RESIDUAL: ("n", "E"),
    Drain.SCORES: ("n", "E"),
    Drain.CONTEXT: ("G",),
    Drain.LOGITS: ("n", "R", "u", "E"),
    Drain.BIASED: ("n", "E"),
}
_SET = {
    Opcode.NORM: ("n", "R", "u"),
    Opcode.NORMALIZE: ("n",),
    Opcode.GATE: ("n",),
    Opcode.SOFTMAX: ("G",),
    Opcode.GELU: ("n",),
}
_INPUT = "vector in the encoder"

#: Beside no MATVEC, as both would write words.
_ALONE = (Opcode.EMBED, Opcode.LAYER_NORM, Opcode.SUM)


@dataclasses.dataclass(kw_only=True)
class Access:
    """Places of one kind: names, and ranges of each space of addresses."""

    names: set[str] = dataclasses.field(default_factory=set)
    words: list[Range] = dataclasses.field(default_factory=list)
    bytes: list[Range] = dataclasses.field(default_factory=list)

    def shared(self, other: Access) -> Iterator[str]:
        """Tell what both touch."""
        yield from sorted(self.names & other.names)
        for space, mine, others in (
            (WORDS, self.words, other.words),
            (BYTES, self.bytes, other.bytes),
        ):
            if any(a < d and c < b for a, b in mine for c, d in others):
                yield space


@dataclasses.dataclass(kw_only=True)
class Footprint:
    """What an instruction touches at a position.

    Attributes
    ----------
    instruction : Instruction
        Whose it is.
    unit : Unit
        Which executes it.
    reads, writes : Access
        Places.
    """

    instruction: Instruction
    unit: Unit
    reads: Access
    writes: Access

    @classmethod
    def of(
        cls, instruction: Instruction, params: CoreParams, *, position: int, token: int = 0
    ) -> Footprint:
        """Tell what an instruction other than END touches.

        Parameters
        ----------
        instruction : Instruction
            What is executed.
        params : CoreParams
            The core.
        position, token : int
            What the host gave.
        """
        i, opcode = instruction, instruction.opcode
        reads, writes = Access(), Access()
        count = counted(i, "count", position)
        for name, size in operands(i, count).items():
            written = name == "target" or opcode == Opcode.ROTATE and name == "a"
            (writes if written else reads).words.append((i[name], i[name] + size))
        first = i["vector"]
        vectors = range(first, first + i["vectors"])
        for scalar in _SET.get(opcode, ()):
            writes.names.add(f"{scalar} of vector {first}")
        match opcode:
            case Opcode.LOAD:
                index = {Index.NONE: 0, Index.TOKEN: token}.get(
                    Index(i["index"]), position + i["ahead"]
                )
                start = moved(i["address"], i, index)
                reads.bytes.append((start, start + _span(i, count) + i["size"]))
            case Opcode.KEEP:
                index = position + i["ahead"]
                start = moved(i["address"], i, index)
                writes.bytes.append((start, start + _span(i, count) + 1))
                if i["keys"]:
                    start, runs = moved(i["mantissas"], i, index), -(-count // i["inner"])
                    writes.bytes.append((start, start + (runs - 1) * i["outer_stride"] + 1))
                writes.bytes.append((i["scales"] + 2 * index, i["scales"] + 2 * index + 2))
            case Opcode.NORM | Opcode.NORMALIZE | Opcode.GATE | Opcode.SOFTMAX | Opcode.GELU:
                writes.names.add(_INPUT)
            case Opcode.ENCODE:
                reads.names.add(_INPUT)
                writes.names |= _encoded(first, i["bank"])
            case Opcode.MATVEC:
                drain = Drain(i["drain"])
                for vector in vectors:
                    reads.names |= _encoded(vector, i["bank"])
                    reads.names |= {f"{scalar} of vector {vector}" for scalar in _SCALARS[drain]}
                start = i["weight_base"] * params.beat_bits // 8
                reads.bytes.append((start, start + _matrix_bytes(i, params, position)))
        return cls(instruction=i, unit=Unit.of(opcode), reads=reads, writes=writes)

    def conflict(self, before: Footprint) -> str | None:
        """Tell why this must not begin while one before it, of another unit, may still run.

        None if it may. A MATVEC takes the blocks of its last vector as they are encoded.
        """
        if self._chases(before):
            return None
        for one, other in ((self, before), (before, self)):
            if one.unit == Unit.MATVEC and other.unit == Unit.VECTOR:
                ports = other.instruction.opcode in _ALONE
                if ports or one.instruction["drain"] in (Drain.RESIDUAL, Drain.BIASED):
                    return "ports of vector memory"
        for mine, theirs in (
            (self.writes, before.writes),
            (self.writes, before.reads),
            (self.reads, before.writes),
        ):
            for shared in mine.shared(theirs):
                return shared
        return None

    def _chases(self, before: Footprint) -> bool:
        mine, encode = self.instruction, before.instruction
        last = mine["vector"] + mine["vectors"] - 1
        return (
            mine.opcode == Opcode.MATVEC
            and encode.opcode == Opcode.ENCODE
            and (encode["vector"], encode["bank"]) == (last, mine["bank"])
        )


def _encoded(vector: int, bank: int) -> set[str]:
    return {f"events of vector {vector}", f"E of vector {vector}", f"marks of bank {bank}"}


def _span(i: Instruction, count: int) -> int:
    """Bytes from the first element to the farthest."""
    runs, inner = divmod(count - 1, i["inner"])
    longest = i["inner"] - 1 if runs else inner
    return runs * i["outer_stride"] + longest * i["inner_stride"]


def _matrix_bytes(i: Instruction, params: CoreParams, position: int) -> int:
    fields = mode(i)
    layout = next(f for f in FORMATS.values() if f.number == fields["format"])
    inputs = counted(i, "inputs", position)
    beats = tile_beats(params, layout, inputs, sums=bool(fields["sums"]))
    return tiles(i, position) * beats * params.beat_bits // 8
