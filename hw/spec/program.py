"""Instructions of a device program: declared once for compiler, golden model and sequencer.

``docs/program.md`` says what each does. A program lies in device memory, one instruction behind the
other, and makes one token; the same program serves every position.
"""

from __future__ import annotations

import dataclasses
import enum

from hw.spec.registers import REGISTERS, Field

#: Bytes and 32-bit words of an instruction.
INSTRUCTION_BYTES = 64
INSTRUCTION_WORDS = INSTRUCTION_BYTES // 4


class Opcode(enum.IntEnum):
    """What an instruction does."""

    #: the token is done
    END = 0
    #: read numbers from device memory into vector memory
    LOAD = 1
    #: make the residual from a row of the embedding
    EMBED = 2
    #: residual times gamma, normalized, into the encoder; 1/rms for the results
    NORM = 3
    #: a vector, normalized, into the encoder
    NORMALIZE = 4
    #: silu(gate) * up, normalized, into the encoder
    GATE = 5
    #: a matrix times encoded vectors; the results go where `Drain` says
    MATVEC = 6
    #: rotary embedding of heads, in place
    ROTATE = 7
    #: code one head of k or v and append it to its cache
    KEEP = 8
    #: scores of one head to codes of probability times value scale, into the encoder
    SOFTMAX = 9
    #: the vector in the encoder to events
    ENCODE = 10
    #: words less their mean, over their deviation, times gamma, plus beta
    LAYER_NORM = 11
    #: sum of vectors, times a constant
    SUM = 12
    #: gelu(words), normalized, into the encoder
    GELU = 13


#: What only cores with `encoder` execute, beside the drain BIASED.
ENCODER_ONLY = (Opcode.LAYER_NORM, Opcode.SUM, Opcode.GELU)


class Unit(enum.IntEnum):
    """What executes instructions, one at a time, each beside the others; bits of `after`."""

    LOAD = 0
    VECTOR = 1
    ENCODE = 2
    MATVEC = 3

    @classmethod
    def of(cls, opcode: Opcode) -> Unit:
        """Return the unit of an opcode other than END."""
        own = {Opcode.LOAD: cls.LOAD, Opcode.ENCODE: cls.ENCODE, Opcode.MATVEC: cls.MATVEC}
        return own.get(opcode, cls.VECTOR)


#: Waits for everything before.
ALL_UNITS = (1 << len(Unit)) - 1


class Index(enum.IntEnum):
    """Number by which an address moves from token to token."""

    NONE = 0
    TOKEN = 1
    POSITION = 2


class Drain(enum.IntEnum):
    """Where the accumulators of a matrix go."""

    #: words: times 1/rms of the last NORM
    NORMED = 0
    #: added to the residual
    RESIDUAL = 1
    #: words: times a constant, shifted by the exponents of the key cache
    SCORES = 2
    #: words: times the gain of the last SOFTMAX
    CONTEXT = 3
    #: times 1/rms of the last NORM, to the choice of the largest
    LOGITS = 4
    #: words: added to biases, the same for every vector
    BIASED = 5


#: Drains of matrices that are caches; their reads are not counted (``docs/arithmetic.md`` §13).
ATTENTION = (Drain.SCORES, Drain.CONTEXT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operand(Field):
    """Bits of a word of an instruction; opcodes that never meet may share them."""

    word: int
    signed: bool

    @property
    def position(self) -> int:
        """First bit in the whole instruction."""
        return 32 * self.word + self.start


def _o(name: str, word: int, start: int, width: int, text: str, *, signed=False) -> Operand:
    return Operand(name=name, word=word, start=start, width=width, signed=signed, text=text)


OPERANDS: dict[str, Operand] = {
    operand.name: operand
    for operand in (
        _o("opcode", 0, 0, 8, "number of `Opcode`"),
        _o("size", 0, 8, 2, "bytes of a number in device memory, 1 or 2"),
        _o("nibbles", 0, 10, 1, "bytes are two planes of an 8-bit weight, `w ^ 8`"),
        _o("index", 0, 12, 2, "number of `Index`"),
        _o("interleaved", 0, 14, 1, "pairs of the rotary embedding are neighbours"),
        _o("keys", 0, 15, 1, "KEEP: the scale is also the mantissa d of every group"),
        _o("shift", 0, 16, 5, "low bits of the index; of T, where tiles follow it"),
        _o("count_by_position", 0, 21, 1, "count is T"),
        _o("inputs_by_position", 0, 22, 1, "inputs of the matrix are T"),
        _o("tiles_by_position", 0, 23, 1, "tiles of the matrix are T / 2^shift, rounded up"),
        _o("after", 0, 24, 4, "bits of the `Unit`s that must have ended"),
        _o("drain", 0, 28, 3, "number of `Drain`"),
        _o("final", 0, 31, 1, "LOGITS: these are the last of the vocabulary"),
        _o("a", 1, 0, 16, "word address of the first operand"),
        _o("b", 1, 16, 16, "word address of the second operand"),
        _o("c", 2, 0, 16, "word address of the third operand"),
        _o("ahead", 2, 0, 6, "added to position, for T and addresses"),
        _o("target", 2, 16, 16, "word address of the result"),
        _o("count", 3, 0, 16, "elements"),
        _o("inner", 3, 16, 16, "elements of a run, pairs of a head, or vectors of a sum"),
        _o("address", 4, 0, 32, "byte address"),
        _o("stride", 4, 0, 16, "words from one vector to the next, or its results"),
        _o("stride_high", 5, 0, 32, "bytes from one index >> shift to the next"),
        _o("stride_low", 6, 0, 16, "bytes from one index to the next below 2^shift"),
        _o("vector", 6, 16, 6, "number of the vector; MATVEC: of the first one"),
        _o("vectors", 6, 22, 7, "vectors that are multiplied"),
        _o("join", 6, 29, 1, "ENCODE: rows of vectors before, in the same bank, are read too"),
        _o("bank", 6, 30, 1, "which rows fire: ENCODE sets them, MATVEC reads them"),
        _o("uncounted", 6, 31, 1, "ENCODE: the events are not counted"),
        _o("inner_stride", 7, 0, 32, "bytes from an element to the next of its run"),
        _o("outer_stride", 8, 0, 32, "bytes from a run to the next"),
        _o("inputs", 9, 0, 16, "inputs of the matrix"),
        _o("tiles", 9, 16, 16, "tiles of the matrix"),
        _o("mode", 10, 0, 32, "as register `mode`"),
        _o("quantizer", 11, 0, 32, "as register `quantizer`"),
        _o("weight_base", 12, 0, 32, "as register `weight_base`"),
        _o("constant", 13, 0, 16, "constant part of the shift k", signed=True),
        _o("multiplier", 13, 16, 16, "constant multiplier; NORM, LAYER_NORM: SQ"),
        _o("epsilon_low", 14, 0, 32, "NORM: EPS, low half; LAYER_NORM: EPS"),
        _o("epsilon_high", 15, 0, 30, "NORM: EPS, high half"),
        _o("mantissas", 14, 0, 32, "KEEP: byte address of the mantissas d"),
        _o("scales", 15, 0, 32, "KEEP: byte address of the scales"),
        _o("mean", 15, 0, 16, "LAYER_NORM: ME"),
        _o("mean_shift", 15, 16, 6, "LAYER_NORM: me"),
    )
}

#: Operands that each opcode reads, beside the opcode and `after`; all others are 0.
USES: dict[Opcode, tuple[str, ...]] = {
    Opcode.END: (),
    Opcode.LOAD: (
        *("target", "size", "nibbles", "count", "count_by_position", "inner", "ahead"),
        *("address", "index", "shift", "stride_high", "stride_low", "inner_stride", "outer_stride"),
    ),
    Opcode.EMBED: ("a", "b", "c", "target", "count", "constant"),
    Opcode.NORM: ("a", "b", "count", "vector", "multiplier", "epsilon_low", "epsilon_high"),
    Opcode.NORMALIZE: ("a", "count", "vector"),
    Opcode.GATE: ("a", "b", "count", "vector"),
    Opcode.MATVEC: (
        *("vector", "vectors", "bank", "inputs", "inputs_by_position", "ahead"),
        *("tiles", "tiles_by_position", "shift", "mode", "quantizer", "weight_base"),
        *("drain", "final", "a", "b", "target", "stride", "count", "count_by_position"),
        *("constant", "multiplier"),
    ),
    Opcode.ROTATE: ("a", "b", "c", "count", "inner", "interleaved"),
    Opcode.KEEP: (
        *("a", "count", "inner", "keys", "mantissas", "scales", "ahead"),
        *("address", "index", "shift", "stride_high", "stride_low", "inner_stride", "outer_stride"),
    ),
    Opcode.SOFTMAX: ("a", "b", "count", "count_by_position", "ahead", "vector"),
    Opcode.ENCODE: (
        *("vector", "join", "bank", "inputs", "inputs_by_position", "ahead"),
        *("mode", "quantizer", "uncounted"),
    ),
    Opcode.LAYER_NORM: (
        *("a", "b", "c", "target", "count", "constant", "multiplier", "epsilon_low"),
        *("mean", "mean_shift"),
    ),
    Opcode.SUM: ("a", "stride", "inner", "target", "count", "constant", "multiplier"),
    Opcode.GELU: ("a", "count", "vector"),
}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """An opcode with its operands; what is not given is 0.

    Raises
    ------
    ValueError
        If an operand is unknown to the opcode or does not fit its bits.
    """

    opcode: Opcode
    operands: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Check names and ranges."""
        for name, value in self.operands.items():
            if name not in (*USES[self.opcode], "after"):
                raise ValueError(f"{self.opcode.name} has no operand {name!r}")
            operand = OPERANDS[name]
            low = -(1 << operand.width - 1) if operand.signed else 0
            high = (1 << operand.width - operand.signed) - 1
            if not low <= value <= high:
                raise ValueError(f"{self.opcode.name}.{name} must be {low}..{high}, not {value}")

    def __getitem__(self, name: str) -> int:
        """Return an operand's value."""
        return self.operands.get(name, 0)

    def encode(self) -> bytes:
        """Return the instruction as it lies in memory, :data:`INSTRUCTION_BYTES` long."""
        whole = int(self.opcode)
        for name, value in self.operands.items():
            operand = OPERANDS[name]
            whole |= (value & (1 << operand.width) - 1) << operand.position
        return whole.to_bytes(INSTRUCTION_BYTES, "little")

    @classmethod
    def decode(cls, octets: bytes) -> Instruction:
        """Read an instruction.

        Raises
        ------
        ValueError
            If the opcode is unknown.
        """
        whole = int.from_bytes(octets[:INSTRUCTION_BYTES], "little")
        opcode = Opcode(whole & 0xFF)
        operands = {}
        for name in (*USES[opcode], "after"):
            operand = OPERANDS[name]
            value = whole >> operand.position & (1 << operand.width) - 1
            if operand.signed and value >> operand.width - 1:
                value -= 1 << operand.width
            if value:
                operands[name] = value
        return cls(opcode, operands)


def mode(instruction: Instruction) -> dict[str, int]:
    """Return the fields of the instruction's `mode`."""
    return REGISTERS["mode"].unpack(instruction["mode"])


def quantizer(instruction: Instruction) -> dict[str, int]:
    """Return the fields of the instruction's `quantizer`."""
    return REGISTERS["quantizer"].unpack(instruction["quantizer"])
