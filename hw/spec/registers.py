"""Register map of the core: declared once for gateware, driver, C header and documentation."""

from __future__ import annotations

import dataclasses
import enum

MAGIC = 0x4B505346  # "FSPK", least significant byte first


class Access(enum.Enum):
    """What a bus access does."""

    R = "read"
    RW = "read and write"
    PULSE = "write; ones act once"
    WINDOW = "data window; its address register increments with every access"


class Error(enum.IntEnum):
    """Why the core refused or stopped an instruction."""

    NONE = 0
    #: inputs is 0 or above the configuration's max_inputs
    INPUTS = 1
    #: tiles is 0, or the outputs of all vectors exceed max_outputs
    OUTPUTS = 2
    #: weight_base plus the instruction's tiles exceed the memory, or it is amid a bus beat
    MEMORY = 3
    #: unsupported code table, weight format or vector, or a silent level that does not suit them
    MODE = 4
    #: start while busy
    BUSY = 5
    #: external memory answered with SLVERR or DECERR; the instruction was stopped
    RESPONSE = 6
    #: an instruction of the program has an unknown opcode, or operands that cannot be
    PROGRAM = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """Bits of a register."""

    name: str
    start: int
    width: int
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit register at a byte address.

    A ``guarded`` one belongs to an instruction: writes are refused while one runs. Only cores with
    crossbars have one of ``crossbar``.
    """

    name: str
    address: int
    access: Access
    text: str
    fields: tuple[Field, ...] = ()
    guarded: bool = False
    crossbar: bool = False

    def pack(self, **values: int) -> int:
        """Register value from field values.

        Raises
        ------
        ValueError
            If a field is unknown or a value does not fit; values may be negative where their two's
            complement fits the field.
        """
        word = 0
        known = {field.name: field for field in self.fields}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"register {self.name} has no field {name!r}; has {list(known)}")
            field = known[name]
            if not -(1 << field.width - 1) <= value < 1 << field.width:
                raise ValueError(f"{self.name}.{name} has {field.width} bits; {value} does not fit")
            word |= (value & ((1 << field.width) - 1)) << field.start
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """Field values of a register value, unsigned."""
        return {f.name: word >> f.start & ((1 << f.width) - 1) for f in self.fields}


def _f(name: str, start: int, width: int, text: str) -> Field:
    return Field(name=name, start=start, width=width, text=text)


def _r(
    name: str,
    address: int,
    access: Access,
    text: str,
    *fields: Field,
    guarded: bool = False,
    crossbar: bool = False,
) -> Register:
    return Register(
        name=name,
        address=address,
        access=access,
        text=text,
        fields=fields,
        guarded=guarded,
        crossbar=crossbar,
    )


#: What a program may wait for, in the order of the bits of register ``waiting``.
WAITING: dict[str, str] = {
    "fetch": "the next instruction",
    "loader": "a LOAD",
    "encoder": "an ENCODE",
    "matrix": "the matrix engine",
    "drain": "the drain of its outputs",
    "embed": "EMBED",
    "feed": "NORM, NORMALIZE, GATE or GELU",
    "softmax": "SOFTMAX",
    "rotate": "ROTATE",
    "keep": "KEEP",
    "writes": "responses to its writes",
    "forgotten": "what a stopped program had asked of device memory",
    "combine": "LAYER_NORM or SUM",
}

#: Event counters of the last instruction, in the order of their registers.
COUNTERS: dict[str, str] = {
    "spikes": "codes that are levels of the ladder and not silent",
    "silent": "silent codes, padding excluded",
    "integer_events": "codes beyond the ladder",
    "steps": "occupied levels, coarse and fine windows together",
    "rows_read": "weight rows read from synapse memory; from external memory, each once for a tile",
    "beats_read": "beats read from synapse memory, scales and row sums included",
    "cycles": "clock cycles from start to done",
    "stall_scaler": "cycles in which the rows waited for the group scaler",
    "stall_memory": "cycles in which the lanes waited for external memory and for nothing else",
    "beats_hole": "beats that were read through: rows of external memory that do not fire",
    "stall_encoder": "cycles in which the lanes waited for the encoder's next event",
}

#: Counters that only a core with crossbars has (``docs/crossbar.md`` §7).
CROSSBAR_COUNTERS: dict[str, str] = {
    "array_steps": "time steps in which word lines of an array were raised, phases apart",
    "conversions": "readings of columns that were converted",
    "lines_raised": "word lines that were raised",
}


def counters_of(*, crossbar: bool) -> dict[str, str]:
    """Counters of a core with crossbars or without."""
    return COUNTERS | CROSSBAR_COUNTERS if crossbar else COUNTERS


#: Those of the encoding, which several instructions on one vector must not add up.
ENCODE_COUNTERS = ("spikes", "silent", "integer_events", "steps")

_COUNTER_BASE = 0x80
_CROSSBAR_BASE = 0xE0

REGISTERS: dict[str, Register] = {
    register.name: register
    for register in (
        _r("magic", 0x00, Access.R, "The bytes FSPK."),
        _r(
            "version",
            0x04,
            Access.R,
            "Version of the specification.",
            _f("minor", 0, 16, "compatible changes"),
            _f("major", 16, 16, "incompatible changes"),
        ),
        _r("hash_low", 0x08, Access.R, "Configuration hash, low half."),
        _r("hash_high", 0x0C, Access.R, "Configuration hash, high half."),
        _r(
            "control",
            0x10,
            Access.PULSE,
            "Commands.",
            _f("start", 0, 1, "execute one matrix-vector instruction"),
            _f("reset", 1, 1, "abort, and return to idle; memories keep their contents"),
            _f("run", 2, 1, "run the program: one token; with vector memory only"),
        ),
        _r(
            "status",
            0x14,
            Access.R,
            "State of the last instruction.",
            _f("busy", 0, 1, "an instruction runs"),
            _f("done", 1, 1, "an instruction has completed since the last start"),
            _f("error", 8, 8, "why the last start was refused"),
        ),
        _r(
            "memory_address",
            0x18,
            Access.RW,
            "Synapse memory address in 32-bit words; a beat starts at a multiple of the words of a "
            "beat.",
        ),
        _r(
            "memory_data",
            0x1C,
            Access.WINDOW,
            "Synapse memory; a beat is written with its last "
            "word, bits beyond the beat are ignored and read as zero.",
        ),
        _r("input_address", 0x20, Access.RW, "Input buffer address in elements."),
        _r(
            "input_data",
            0x24,
            Access.WINDOW,
            "Input buffer, one signed 16-bit element in the low half; write only. A block of 32 is "
            "written in order from its first element, the last one up to the vector's end.",
            guarded=True,
        ),
        _r(
            "output_address",
            0x28,
            Access.RW,
            "Output buffer address in words: the output's number "
            "times 2, plus 1 for the high half.",
        ),
        _r(
            "output_data", 0x2C, Access.WINDOW, "Accumulators, sign-extended to 64 bits; read only."
        ),
        _r(
            "shape",
            0x30,
            Access.RW,
            "Size of the instruction.",
            _f("inputs", 0, 16, "inputs"),
            _f("tiles", 16, 16, "tiles of outputs, as wide as in memory"),
            guarded=True,
        ),
        _r(
            "weight_base",
            0x34,
            Access.RW,
            "Beat address of the first tile: of a whole bus beat.",
            guarded=True,
        ),
        _r(
            "mode",
            0x38,
            Access.RW,
            "How to read inputs and weights.",
            _f("table", 0, 4, "number of the code table"),
            _f("format", 4, 1, "number of the weight format"),
            _f("codes", 5, 1, "test mode: inputs are decoded codes of scale 4 << 0"),
            _f("sums", 6, 1, "row sums lie in memory; needed where m is not the table's z"),
            _f("fixed", 7, 1, "every block has the scale 16, and counts as 4 << 0"),
            _f("vector", 8, 6, "number of the vector; it and those before it are multiplied"),
            _f("encode", 14, 1, "the vector is only encoded, and nothing multiplied"),
            guarded=True,
        ),
        _r(
            "quantizer",
            0x3C,
            Access.RW,
            "Quantizer of the input tensor.",
            _f("constant", 0, 12, "scale constant"),
            _f("threshold", 12, 8, "silence threshold in 1/8 of the scale"),
            _f("silent", 20, 8, "silent level m"),
            guarded=True,
        ),
        _r("scale_base", 0x40, Access.R, "Base exponent of the vector that `mode` names."),
        _r(
            "fault",
            0x44,
            Access.RW,
            "Fault injection for tests; acts in the next instruction.",
            _f("kind", 0, 2, "0 none, 1 event (its code, or its level), 2 accumulator"),
            _f("bit", 2, 6, "bit to invert"),
            _f("index", 8, 24, "number of the event, or of the output, counted from 0"),
        ),
        _r(
            "program",
            0x48,
            Access.RW,
            "Byte address of the program, a multiple of 64.",
            guarded=True,
        ),
        _r("token", 0x4C, Access.RW, "Token id that the program is run for.", guarded=True),
        _r(
            "position",
            0x50,
            Access.RW,
            "Position of the token, counted from 0, below 65,535.",
            guarded=True,
        ),
        _r("instruction", 0x54, Access.R, "Number of the program's instruction that was reached."),
        _r(
            "interrupt",
            0x58,
            Access.RW,
            "Interrupt request.",
            _f("enable", 0, 1, "raise the port `irq` while not busy, once done or refused"),
        ),
        _r("best_address", 0x5C, Access.RW, "Word of the largest logits."),
        _r(
            "best_data",
            0x60,
            Access.WINDOW,
            "The largest logits of the last token, the largest first: id, then logit; read only.",
        ),
        _r("token_cycles", 0x64, Access.R, "Clock cycles of the program so far."),
        _r("vector_address", 0x68, Access.RW, "Vector memory address in words."),
        _r(
            "vector_data",
            0x6C,
            Access.WINDOW,
            "Vector memory, a sign-extended word, to look into a token; not while one runs.",
        ),
        _r(
            "waiting",
            0x70,
            Access.R,
            "What a program waits for; names the unit where one does not end.",
            *(_f(name, bit, 1, text) for bit, (name, text) in enumerate(WAITING.items())),
        ),
        *(
            _r(name, _COUNTER_BASE + 4 * i, Access.R, text[0].upper() + text[1:] + ".")
            for i, (name, text) in enumerate(COUNTERS.items())
        ),
        _r(
            "array",
            _CROSSBAR_BASE,
            Access.RW,
            "Arrays of the instruction; only of cores with crossbars, as all that follows.",
            _f("matrix", 0, 16, "number of the matrix, by which its cells and noise are known"),
            _f("tile", 16, 16, "number of its first tile in the matrix"),
            guarded=True,
            crossbar=True,
        ),
        *(
            _r(
                name,
                _CROSSBAR_BASE + 4 * i,
                Access.R,
                text[0].upper() + text[1:] + ".",
                crossbar=True,
            )
            for i, (name, text) in enumerate(CROSSBAR_COUNTERS.items(), 1)
        ),
    )
}

#: Bytes of address space.
SPAN = 0x100


def registers_of(*, crossbar: bool) -> dict[str, Register]:
    """Give the registers of a core with crossbars or without, by name."""
    return {name: r for name, r in REGISTERS.items() if crossbar or not r.crossbar}
