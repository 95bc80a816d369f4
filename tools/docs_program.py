"""Page of docs/ about the instructions of device programs."""

from __future__ import annotations

from hw.spec.program import INSTRUCTION_BYTES, OPERANDS, USES, Drain, Index, Opcode
from tools.markdown import bits, meanings, table


def instructions_page() -> str:
    """Render opcodes, drains, and the places of operands."""
    opcodes, drains = meanings(Opcode), meanings(Drain)
    rows = [
        (opcode.value, f"`{opcode.name}`", opcodes[opcode.name], _names(USES[opcode]))
        for opcode in Opcode
    ]
    places = [
        (
            f"`{o.name}`",
            o.word,
            bits(o),
            "signed" if o.signed else "",
            o.text,
        )
        for o in OPERANDS.values()
    ]
    return (
        "# Instructions\n\n"
        "Written by `python -m tools.docs` from `hw/spec/program.py`; do not edit. What each does "
        "is in [program.md](program.md).\n\n"
        f"An instruction has {INSTRUCTION_BYTES} bytes; operands that an opcode does not read are "
        "0.\n\n"
        + table(["number", "opcode", "meaning", "operands"], rows)
        + "\n## Places of operands\n\nWords of 32 bits, little-endian.\n\n"
        + table(["operand", "word", "bits", "", "meaning"], places)
        + "\n## Drains\n\nWhere the accumulators of a MATVEC go.\n\n"
        + table(["number", "drain", "meaning"], [(d.value, d.name, drains[d.name]) for d in Drain])
        + "\n## Indices\n\n"
        + table(["number", "index"], [(i.value, i.name) for i in Index])
    )


def _names(operands: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in operands)
