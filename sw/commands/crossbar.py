"""`firstspike crossbar`: what a model becomes on crossbars, and what their outputs cost."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import torch
import typer

from sw.commands import options
from sw.compile.crossbars import (
    converter_range,
    load_conductances,
    place,
    save_conductances,
)
from sw.convert.container import ConvertedModel
from sw.crossbar import choose_crossbar, fitted
from sw.energy.crossbar import crossbar_energy, describe
from sw.energy.macro import open_macro
from sw.errors import UserError
from sw.golden.crossbar_linear import CrossbarLinear
from sw.golden.decoder import GoldenModel
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model

ACTIONS = ("map", "export", "check", "energy")

#: What is read to measure clipping and energy.
_TEXT = "It was a truth that she had never thought of before, and it made her very uneasy."


def command(
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(ACTIONS)}.")],
    model: options.Model = None,
    device: options.DevicePreset = None,
    adc_bits: options.AdcBits = None,
    rows: options.Rows = None,
    clip: options.Clip = None,
    columns: Annotated[int, typer.Option(help="Columns of an array.")] = 64,
    seed: Annotated[int | None, typer.Option(help="Of cells and noise.")] = None,
    max_clipping: Annotated[
        float, typer.Option(help="Largest share of conversions that may be clipped.")
    ] = 0.05,
    file: Annotated[
        Path | None, typer.Option("--file", "-o", help="Conductances to export or check.")
    ] = None,
    macro: options.Macro = None,
    json: options.Json = None,
) -> None:
    """Map a model on macros, export the conductances of its cells, or check such a file.

    Or say what outputs cost, from published power times access time, beside what was measured, and
    what the conversions of a token of the model cost then.
    """
    if action not in ACTIONS:
        raise UserError(f"say what to do: {', '.join(ACTIONS)}, not {action!r}")
    crossbar = choose_crossbar(
        "crossbar", device, adc_bits=adc_bits, rows=rows, clip=clip, seed=seed
    )
    assert crossbar is not None
    if (file is None) != (action in ("map", "energy")):
        raise UserError("--file names the conductances to export or check; not for map or energy")
    if macro is not None and action != "energy":
        raise UserError(f"--macro is for energy, not for {action}")
    screen = options.to_screen(json)
    arrays, per_output = open_macro(macro, crossbar) if action == "energy" else (None, None)
    converted = fitted(open_model(model), crossbar)
    placements = place(converted, crossbar)
    beyond = sum(p.beyond for p in placements)
    if beyond and not crossbar.clip:
        raise UserError(
            f"mapping {crossbar.mapping!r} cannot hold {beyond} weights of -8; choose another "
            "device, or --clip them"
        )
    if arrays is not None and per_output is not None:
        record = crossbar_energy(
            converted, crossbar, arrays, per_output, columns=columns, ids=_ids(converted)
        )
        for line in describe(record):
            print(line, file=screen)
        options.write_json(json, record)
        return
    golden = GoldenModel(converted, lanes=columns, crossbar=crossbar, integrator="spike")
    linear = golden.golden
    assert isinstance(linear, CrossbarLinear)
    if action == "check":
        assert file is not None
        linear.conductances = load_conductances(file, converted, crossbar)
    rates = _read(golden, linear, converted)
    if action == "export":
        assert file is not None
        cells = {name: m.arrays.cells for name, m in linear.all_placed.items()}
        save_conductances(file, cells, converted, crossbar)
        print(f"conductances of {len(cells)} matrices in {file}", file=screen)
    records = []
    header = f"{'tensor':24} {'inputs':>6} {'columns':>7} {'macros':>6} {'used':>6} "
    print(header + f"{'slices':>6} {'levels':>6} {'clipped':>8}", file=screen)
    for p in placements:
        print(
            f"{p.name:24} {p.inputs:6} {p.columns:7} {p.macros:6} {p.utilization:6.1%} "
            f"{p.slices:6} {p.levels:6} {rates[p.name]:8.3%}",
            file=screen,
        )
        records.append(dataclasses.asdict(p) | {"clipping": rates[p.name]})
    macros = sum(p.macros for p in placements)
    print(
        f"{macros} macros of {crossbar.macro_rows} x {crossbar.macro_columns}; converters: "
        f"{crossbar.converter.text}, range {converter_range(crossbar)} levels",
        file=screen,
    )
    options.write_json(json, {"crossbar": dataclasses.asdict(crossbar), "tensors": records})
    worst = max(rates, key=lambda name: rates[name])
    if rates[worst] > max_clipping:
        raise UserError(
            f"the converter's range clips {rates[worst]:.1%} of the conversions of {worst}, more "
            f"than {max_clipping:.1%}; give it more bits with --adc-bits, or raise --max-clipping"
        )


def _ids(model: ConvertedModel) -> list[int]:
    return Tokenizer.from_spec(model.tokenizer_spec).encode(_TEXT)[: model.config.context]


def _read(golden: GoldenModel, linear: CrossbarLinear, model: ConvertedModel) -> dict[str, float]:
    """Share of conversions that are clipped while a sentence is read, by matrix."""
    for name in linear.numbers:
        linear.placed(name, golden.matrices[name]).arrays.counts_clipping = True
    with torch.inference_mode():
        golden.prefill(_ids(model))
    arrays = {name: linear.all_placed[name].arrays for name in linear.numbers}
    return {name: a.clipped / max(a.converted, 1) for name, a in arrays.items()}
