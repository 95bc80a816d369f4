"""Makes the page of a run folder: numbers from its JSON files, spikes from its events."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from sw.errors import UserError
from sw.events import COARSE, load_events
from sw.report.charts import Bar, Part, Spot, Tick, bars, raster, scatter

#: Files that a run folder may hold, and which command writes them.
FILES = {"generate": "generate --run", "compare": "compare --run", "plan": "convert --budget --run"}

_CLASSES = ("silent", "spike", "integer")


def load_run(folder: Path) -> dict[str, Any]:
    """Read the JSON files of a run folder, by kind.

    Raises
    ------
    UserError
        If the folder holds none, or one is damaged.
    """
    run = {}
    for kind in FILES:
        path = folder / f"{kind}.json"
        if path.is_file():
            try:
                run[kind] = json.loads(path.read_text("utf-8"))
            except ValueError:
                raise UserError(f"{path} is not JSON; write the run again") from None
    if not run:
        raise UserError(
            f"{folder} holds no run; write one with `firstspike generate --run {folder}` or "
            f"`firstspike compare --run {folder}`"
        )
    return run


def build(
    folder: Path,
    *,
    tensor: str | None = None,
    token: int | None = None,
    block: int = 0,
    technology: str | None = None,
    counting: str = "broadcast",
) -> str:
    """Make the page.

    Parameters
    ----------
    folder : pathlib.Path
        A run folder.
    tensor, token, block : str, int, int
        Whose spikes are shown: a tensor, by default the first ``ffn_down``; a token, by default the
        last; a block of 32 channels.
    technology, counting : str
        Whose energies are shown: the first of the run, events moved once per tile.

    Raises
    ------
    UserError
        If the folder holds no run, or no such tensor, token, block or technology.
    """
    run = load_run(folder)
    sections = []
    if "generate" in run:
        sections += _generated(run["generate"], folder, tensor, token, block)
    if "compare" in run:
        sections += _compared(run["compare"], run.get("plan"), technology, counting)
    elif "plan" in run:
        sections.append(_frontier([], run["plan"]))
    template = (resources.files("sw.report") / "template.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    names = {kind: FILES[kind] for kind in run}
    models = sorted({content["model"] for content in run.values()})
    return environment.from_string(template).render(
        title=", ".join(models), run=run, names=names, sections=sections
    )


def _section(name, title, chart, text, columns, rows) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "chart": chart,
        "text": text,
        "columns": columns,
        "rows": rows,
        "legend": [],
    }


def _cell(key: str, value: Any, shown: str | None = None) -> dict[str, Any]:
    """One number of a table; ``shown`` is how people read it."""
    if value is None:
        return {"key": None, "value": None, "shown": "-"}
    return {"key": key, "value": repr(value), "shown": shown if shown is not None else f"{value}"}


def _plain(text: str) -> dict[str, Any]:
    return {"key": None, "value": None, "shown": text}


def _percent(key: str, value: float | None) -> dict[str, Any]:
    return _cell(key, value, None if value is None else f"{value:.2%}")


def _generated(content, folder, tensor, token, block) -> list[dict[str, Any]]:
    layers = content["layers"]
    prefix = "generate.layers"
    shares = _shares(layers, prefix, "Codes by tensor, generated text")
    steps = _section(
        "steps",
        "Occupied time steps",
        bars(
            [
                Bar(
                    layer["tensor"],
                    [Part(f"{prefix}.{i}.steps", layer["steps"], "spike")],
                    f"{layer['steps']:,.1f} of {layer['window_steps']:,.0f}",
                )
                for i, layer in enumerate(layers)
            ],
            title="Occupied time steps of a mean token, by tensor",
        ),
        "Time steps in which anything fires, of all steps of all windows, a mean token.",
        ["tensor", "occupied", "window"],
        [
            [
                _plain(layer["tensor"]),
                _cell(f"{prefix}.{i}.steps", layer["steps"], f"{layer['steps']:,.2f}"),
                _cell(
                    f"{prefix}.{i}.window_steps",
                    layer["window_steps"],
                    f"{layer['window_steps']:,.0f}",
                ),
            ]
            for i, layer in enumerate(layers)
        ],
    )
    measured = content["backend"] != "golden"
    how = "measured on the core" if measured else "at least: a beat a cycle, or the lanes"
    cycles = _section(
        "cycles",
        "Cycles and bytes",
        bars(
            [
                Bar(
                    layer["tensor"],
                    [Part(f"{prefix}.{i}.cycles", layer["cycles"], "integer")],
                    f"{layer['cycles']:,.0f} cycles, {layer['bytes']:,.0f} B",
                )
                for i, layer in enumerate(layers)
            ],
            title="Cycles of a mean token, by tensor",
        ),
        f"Configuration {content['config']}; cycles {how}; bytes of weights and scales that a mean "
        "token reads.",
        ["tensor", "cycles", "bytes", "beats"],
        [
            [
                _plain(layer["tensor"]),
                *(
                    _cell(f"{prefix}.{i}.{key}", layer[key], f"{layer[key]:,.1f}")
                    for key in ("cycles", "bytes", "beats")
                ),
            ]
            for i, layer in enumerate(layers)
        ],
    )
    return [_raster(content, folder, tensor, token, block), shares, steps, cycles]


def _shares(layers, prefix: str, title: str) -> dict[str, Any]:
    return _section(
        "shares",
        "Silent, spike, integer",
        bars(
            [
                Bar(
                    layer["tensor"],
                    [Part(f"{prefix}.{i}.{name}", layer[name], name) for name in _CLASSES],
                    f"{layer['silent']:.1%} silent",
                )
                for i, layer in enumerate(layers)
            ],
            title=title,
        ),
        "Silent codes read no weights, spikes are one event, integers are outliers of 8 bits.",
        ["tensor", *_CLASSES],
        [
            [
                _plain(layer["tensor"]),
                *(_percent(f"{prefix}.{i}.{name}", layer[name]) for name in _CLASSES),
            ]
            for i, layer in enumerate(layers)
        ],
    )


def _raster(content, folder, tensor, token, block) -> dict[str, Any]:
    events = load_events(folder / "events.npz")
    if tensor is None:
        tensor = next((t for t in events.tensors if t.endswith("ffn_down")), events.tensors[0])
    token = len(events.scales) - 1 if token is None else token
    fired = events.of(token=token, tensor=tensor)
    blocks = int((events.scales[token, events.tensors.index(tensor)] > 0).sum())
    if not 0 <= block < blocks:
        raise UserError(f"blocks of {tensor} are 0..{blocks - 1}, not {block}")
    here = fired["channel"] // 32 == block
    channel, window, level, sign = (
        fired[name][here] for name in ("channel", "window", "level", "sign")
    )
    slots = sorted({(int(w), -int(v)) for w, v in zip(window, level, strict=True)})
    labels = [f"{'c' if w == COARSE else ''}{-v}" for w, v in slots]
    order = {slot: i for i, slot in enumerate(slots)}
    ticks, rows = [], []
    for c, w, v, s in zip(channel, window, level, sign, strict=True):
        kind = "integer" if w == COARSE else ("minus" if s < 0 else "plus")
        ticks.append(Tick(order[int(w), -int(v)], int(c) % 32, kind))
        name = "coarse" if w == COARSE else "fine"
        rows.append([_plain(str(text)) for text in (c, name, v, "-" if s < 0 else "+")])
    where = f"{tensor}, token {token}, block {block}"
    return _section(
        "raster",
        "Spikes in time",
        raster(ticks, steps=labels, title=f"Spike raster: {where}, {len(ticks)} events"),
        f"{where}: {len(np.unique(channel))} of 32 channels fire {len(ticks)} events in "
        f"{len(slots)} occupied time steps; empty steps are left out. Coarse steps (c) are the "
        "upper digits of integers.",
        ["channel", "window", "level", "sign"],
        rows,
    )


def _compared(content, plan, technology, counting) -> list[dict[str, Any]]:
    rows = content["rows"]
    names = list(rows[0]["energy"])
    technology = technology or names[0]
    if technology not in names:
        raise UserError(f"the run has energies of {', '.join(names)}, not of {technology!r}")
    table = [
        [
            _plain(row["label"]),
            _plain(row["rung"]),
            _cell(f"compare.rows.{i}.perplexity", row["perplexity"], f"{row['perplexity']:.3f}"),
            _cell(f"compare.rows.{i}.ratio", row["ratio"], f"{row['ratio']:.4f}"),
            _cell(
                f"compare.rows.{i}.difference_stderr",
                row["difference_stderr"],
                f"{row['difference_stderr']:.4f}",
            ),
            _percent(f"compare.rows.{i}.silent", row["silent"]),
            _percent(f"compare.rows.{i}.integer", row["integer"]),
            _cell(
                f"compare.rows.{i}.steps",
                row["steps"],
                None if row["steps"] is None else f"{row['steps']:,.0f}",
            ),
            _cell(f"compare.rows.{i}.bytes", row["bytes"], f"{row['bytes']:,.0f}"),
        ]
        for i, row in enumerate(rows)
    ]
    baselines = _section(
        "baselines",
        "All baselines",
        None,
        f"{content['tokens']} tokens of {content['text']} from character {content['from']}, in "
        f"windows of {content['window']}. Golden rows are exact integers; fake rows are float "
        "arithmetic on coded values.",
        ["baseline", "rung", "perplexity", "x float", "+-", "silent", "integer", "steps", "bytes"],
        table,
    )
    return [
        baselines,
        _energy(rows, technology, counting),
        _frontier(rows, plan),
        _mean_shares(rows),
    ]


_PARTS = ("movement", "weights", "compute", "adc", "cache", "vector")


def _energy(rows, technology: str, counting: str) -> dict[str, Any]:
    items, table, missing = [], [], set()
    for i, row in enumerate(rows):
        entry = row["energy"][technology]
        joules = entry[counting]
        if joules is None:
            missing.add(entry["missing"])
            continue
        key = f"compare.rows.{i}.energy.{technology}.{counting}"
        parts = [Part(f"{key}.{part}", joules[part], f"part-{part}") for part in _PARTS]
        items.append(Bar(row["name"], parts, f"{1e6 * joules['total']:,.3f} uJ"))
        table.append(
            [
                _plain(row["label"]),
                *(
                    _cell(f"{key}.{part}", joules[part], f"{1e6 * joules[part]:,.4f}")
                    for part in (*_PARTS, "total")
                ),
                _percent(f"{key}.measured_share", joules["measured_share"]),
            ]
        )
    moved = "once per tile" if counting == "broadcast" else "to every synapse"
    text = f"Microjoules of a mean token, constants of {technology}, events moved {moved}."
    section = _section(
        "energy",
        "Energy",
        bars(items, title=f"Energy of a token by baseline, {technology}"),
        " ".join([text, *sorted(missing)]),
        ["baseline", *(f"{part}, uJ" for part in (*_PARTS, "total")), "from counters"],
        table,
    )
    return section | {"legend": [(f"part-{part}", part) for part in _PARTS]}


def _frontier(rows, plan) -> dict[str, Any]:
    spots, table = [], []
    for i, row in enumerate(rows):
        if row["silent"] is not None and row["rung"] == "golden":
            key = f"compare.rows.{i}"
            spots.append(Spot(row["name"], row["silent"], row["ratio"], f"{key}.ratio", "spike"))
            table.append(
                [
                    _plain(row["label"]),
                    _percent(f"{key}.silent", row["silent"]),
                    _percent(f"{key}.integer", row["integer"]),
                    _cell(f"{key}.ratio", row["ratio"], f"{row['ratio']:.4f}"),
                ]
            )
    for i, point in enumerate(plan["points"] if plan else []):
        key = f"plan.points.{i}"
        label = f"plan, {point['table']}, price {point['price']:.3g}"
        spots.append(Spot(label, point["silent"], point["ratio"], f"{key}.ratio", "planned"))
        table.append(
            [
                _plain(label),
                _percent(f"{key}.silent", point["silent"]),
                _percent(f"{key}.integer", point["integer"]),
                _cell(f"{key}.ratio", point["ratio"], f"{point['ratio']:.4f}"),
            ]
        )
    text = "Perplexity against silence: rows of compare, relative to float"
    if plan:
        text += f"; and plans for {plan['text']}, joined, relative to the most accurate plan"
    return _section(
        "frontier",
        "Perplexity and silence",
        scatter(
            spots,
            title="Perplexity against the silent share of linear inputs",
            x_label="silent",
            y_label="relative perplexity",
            lines=("planned",),
        ),
        f"{text}.",
        ["point", "silent", "integer", "relative perplexity"],
        table,
    )


def _mean_shares(rows) -> dict[str, Any]:
    chosen = next((i for i, row in enumerate(rows) if row["name"] == "companded"), len(rows) - 1)
    layers, prefix = rows[chosen]["layers"], f"compare.rows.{chosen}.layers"
    section = _shares(layers, prefix, f"Codes by tensor, {rows[chosen]['label']}")
    return section | {"id": "layers", "title": f"Codes by tensor: {rows[chosen]['label']}"}
