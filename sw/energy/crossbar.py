"""What outputs of a crossbar macro cost, and the conversions of a model (``docs/energy.md``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from hw.spec.crossbar import Crossbar
from sw.convert.container import ConvertedModel
from sw.energy.activity import WEIGHTS
from sw.energy.macro import POINTS, MacroEnergy
from sw.energy.measure import golden_run
from sw.energy.technology import Technology


def output_energies(technology: Technology) -> list[dict[str, Any]]:
    """Energies of the outputs whose power is known, beside what was measured of them.

    ``measured`` is None where the technology has no such number.
    """
    found = []
    for name, measured in POINTS.items():
        point = technology.constant(name)
        beside = technology.constants.get(measured)
        found.append(
            {
                "lines": point.lines,
                "rows": point.rows,
                "microwatts": point.microwatts,
                "nanoseconds": point.nanoseconds,
                "picojoules": point.picojoules,
                "measured": beside and beside.picojoules,
                "source": point.source,
            }
        )
    return found


def crossbar_energy(
    model: ConvertedModel,
    crossbar: Crossbar,
    technology: Technology,
    macro: MacroEnergy,
    *,
    columns: int,
    ids: Sequence[int],
) -> dict[str, Any]:
    """Read tokens on crossbars; give the energy of their conversions, ready for JSON.

    Parameters
    ----------
    model : ConvertedModel
        What they run.
    crossbar : Crossbar
        The arrays.
    technology, macro : Technology, MacroEnergy
        See :func:`sw.energy.macro.open_macro`.
    columns : int
        Columns of an array.
    ids : sequence of int
        At least two tokens.
    """
    tokens = len(ids)
    with torch.inference_mode():
        run = golden_run(
            model, torch.tensor(ids), window=tokens, crossbar=crossbar, columns=columns
        )
    tensors: list[dict[str, Any]] = [
        {
            "tensor": record.name,
            "conversions": record.conversions / tokens,
            "lines": record.raised_lines / max(record.conversions, 1),
            "nanojoules": macro.picojoules(record.conversions, record.raised_lines) / tokens / 1000,
        }
        for record in run.activities.values()
        if record.kind == WEIGHTS
    ]
    return {
        "model": model.name,
        "device": crossbar.preset,
        "macro": technology.name,
        "tokens": tokens,
        "outputs": output_energies(technology),
        "fitted": {"picojoules_of_an_output": macro.base, "picojoules_of_a_line": macro.line},
        "tensors": tensors,
        "nanojoules_per_token": sum(t["nanojoules"] for t in tensors),
    }


def describe(record: dict[str, Any]) -> Iterator[str]:
    """Lines of text that tell what `crossbar_energy` found."""
    yield f"energy of an output and time step of macro {record['macro']}"
    yield f"{'lines raised':>12} {'power':>9} {'access':>7} {'power * access':>14} {'measured':>9}"
    for point in record["outputs"]:
        raised = f"{point['lines']} of {point['rows']}"
        power, time = (
            "" if point[name] is None else f"{point[name]:g} {unit}"
            for name, unit in (("microwatts", "uW"), ("nanoseconds", "ns"))
        )
        measured = "" if point["measured"] is None else f"{point['measured']:.2f} pJ"
        product = f"{point['picojoules']:.3f} pJ"
        yield f"{raised:>12} {power:>9} {time:>7} {product:>14} {measured:>9}"
    fitted = record["fitted"]
    yield "not fitted: power and access time are published; what was measured enters nothing"
    yield (
        "fitted: between these points and beyond, "
        f"{fitted['picojoules_of_an_output']:.3f} pJ + {fitted['picojoules_of_a_line']:.3f} pJ a "
        "raised line, a line through both; it is ours, not the source's"
    )
    yield ""
    yield f"{record['model']} on {record['device']}, {record['tokens']} tokens, of a mean token:"
    yield f"{'tensor':24} {'conversions':>12} {'lines':>6} {'nJ':>10}"
    for tensor in record["tensors"]:
        yield (
            f"{tensor['tensor']:24} {tensor['conversions']:12,.0f} {tensor['lines']:6.2f} "
            f"{tensor['nanojoules']:10.3f}"
        )
    total = sum(tensor["conversions"] for tensor in record["tensors"])
    lines = sum(t["conversions"] * t["lines"] for t in record["tensors"]) / total
    yield f"{'all':24} {total:12,.0f} {lines:6.2f} {record['nanojoules_per_token']:10.3f}"
    few, many = (point["lines"] for point in record["outputs"])
    if not few <= lines <= many:
        yield (
            f"the mean of {lines:.2f} lines lies outside of the published {few} to {many}: there "
            "the line is extended"
        )
