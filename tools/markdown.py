"""Markdown for generated pages."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Sequence

from hw.spec.registers import Field


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def bits(field: Field) -> str:
    """Write the bits of a field, the highest first."""
    last = field.start + field.width - 1
    return str(last) if field.width == 1 else f"{last}:{field.start}"


def meanings(kind: type[enum.Enum]) -> dict[str, str]:
    """Meaning of every member that has one: the comment above it in the source."""
    found = re.findall(r"#: (.+)\n\s+(\w+) = \d+", inspect.getsource(kind))
    return {name: text for text, name in found}


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers with runs of three or more as ``first..last``."""
    parts: list[str] = []
    start = 0
    for i, number in enumerate(numbers):
        if i + 1 < len(numbers) and numbers[i + 1] == number + 1:
            continue
        run = numbers[start : i + 1]
        parts += [f"{run[0]}..{run[-1]}"] if len(run) > 2 else [str(n) for n in run]
        start = i + 1
    return ", ".join(parts)
