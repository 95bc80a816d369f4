"""Measure what `docs/results.md` states: `make bench` writes that page anew.

Every figure comes from a command of the project; the page names it. Runs for about an hour on
two cores.
"""

from __future__ import annotations

import datetime
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from hw.spec.params import INTEGRATORS
from sim.memory import PRESETS
from sw.convert.container import write_whole

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
FIRSTSPIKE = str(Path(sys.executable).with_name("firstspike"))
SEEDS = 100

#: Lines of a plan that are kept.
PLANNED = ("position", "simulated", "a dense decoder")

#: A row of the page: what, figure, command.
Row = tuple[str, str, str]


def run(*arguments: str, threads: int | None = None, codes: tuple[int, ...] = (0,)) -> str:
    """Run `firstspike` with arguments and return what it prints."""
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    print("$ firstspike", *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(
        [FIRSTSPIKE, *arguments], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE
    )
    if done.returncode not in codes:
        sys.exit(f"error: firstspike {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout


def accuracy(folder: Path) -> list[Row]:
    """Perplexity and shares of SmolLM2, calibrated on another novel."""
    model, result = folder / "smollm2.safetensors", folder / "eval.json"
    convert = f"convert smollm2-135m -o {model.name} --calibrate novels/emma --from 100000"
    run(*convert.replace(model.name, str(model)).split())
    command = f"eval {model.name} --text novels/persuasion --from 200000 --tokens 4096"
    run(*command.replace(model.name, str(model)).split(), "--json", str(result))
    measured = json.loads(result.read_text())
    perplexity, shares = measured["perplexity"], measured["shares"]
    largest = max(shares["matrices"].values(), key=lambda share: share["integer"])
    rows = [("float perplexity, 8 × 512 tokens of *Persuasion*", f"{perplexity['float']:.3f}")]
    for rung in ("fake", "golden"):
        ratio = perplexity[rung] / perplexity["float"]
        rows.append((f"{rung}, calibrated on *Emma*", f"{perplexity[rung]:.3f} (× {ratio:.4f})"))
    rows += [
        ("integer events, of elements", f"{shares['elements']['integer']:.2%}"),
        ("integer events, MAC-weighted", f"{shares['macs']['integer']:.2%}"),
        ("integer events, largest tensor", f"{largest['integer']:.2%}"),
        ("silent, of elements", f"{shares['elements']['silent']:.2%}"),
        ("silent, MAC-weighted", f"{shares['macs']['silent']:.2%}"),
    ]
    return [
        (name, figure, f"`firstspike {convert}`, `firstspike {command}`") for name, figure in rows
    ]


#: Texts of the plans: a novel and editorials, 8,192 tokens each.
TEXTS = {
    "novel": "--text novels/persuasion --from 200000 --tokens 8192",
    "editorials": "--text editorials --tokens 8192",
}

#: Plans of SmolLM2: accuracy within a share of integers, and silence.
PLANS = {
    "accuracy": "--budget 0% --integers 2.9%",
    "silence": "--silence 0.2855 --objective events --integers 2.85%",
}


def planned(folder: Path) -> list[Row]:
    """Plans of SmolLM2 against float, on texts that they have not seen."""
    rows = []
    for plan, options in PLANS.items():
        name = f"{plan}.safetensors"
        convert = "convert smollm2-135m --calibrate novels/emma --from 100000 --code companded"
        convert = f"{convert} {options} -o {name}"
        run(*convert.replace(name, str(folder / name)).split())
        for text, where in TEXTS.items():
            compare = f"compare {name} --only companded {where}"
            arguments = compare.replace(name, str(folder / name)).split()
            row = json.loads(run(*arguments, "--json", "-"))["rows"][1]
            figure = (
                f"× {row['ratio']:.4f} ± {row['difference_stderr']:.4f}; "
                f"{row['silent']:.2%} silent, {row['integer']:.2%} integers"
            )
            what = f"planned for {plan}, golden against float, {text}"
            rows.append((what, figure, f"`firstspike {convert}`, `firstspike {compare}`"))
    return rows


def baselines() -> list[Row]:
    """Rows of the bundled model, and the time of all; SmolLM2's time and rows."""
    rows = []
    for name, tokens in (("", 2048), ("smollm2-135m", 2048)):
        command = f"compare {name} --from 200000 --tokens {tokens}".replace("  ", " ")
        measured = json.loads(run(*command.split(), "--json", "-"))
        model = measured["model"]
        figure = f"{len(measured['rows'])} rows in {measured['seconds']:.0f} s"
        rows.append((f"{model}: all baselines", figure, f"`firstspike {command}`"))
        mask = measured["masking"]
        equal = "equal bit for bit" if mask["equal"] else "NOT EQUAL"
        factors = [tensor["factor"] for tensor in mask["tensors"]]
        figure = (
            f"{mask['matrices']} matrices {equal}; {mask['factor']:.3f} times fewer spikes, by "
            f"tensor {min(factors):.3f} to {max(factors):.3f}"
        )
        rows.append((f"{model}: M-TTFS (k = 0) against TTFS", figure, f"`firstspike {command}`"))
        for row in measured["rows"]:
            energies = row["energy"]["22nm"]["broadcast"]
            joules = f", {1e6 * energies['total']:.3f} µJ a token (22nm)" if energies else ""
            silent = "" if row["silent"] is None else f", {row['silent']:.1%} silent"
            figure = f"× {row['ratio']:.4f} ± {row['difference_stderr']:.4f}{silent}{joules}"
            rows.append((f"{model}: {row['label']}", figure, f"`firstspike {command}`"))
    return rows


def speed() -> list[Row]:
    """Seconds a token of the golden model on one core."""
    seconds = {}
    arguments = ["generate", "smollm2-135m", "--prompt", "The capital of France is", "--json", "-"]
    for tokens in (4, 36):
        result = json.loads(run(*arguments, "--tokens", str(tokens), threads=1))
        seconds[tokens] = result["wall_seconds"]
    each = (seconds[36] - seconds[4]) / 32
    command = "`OMP_NUM_THREADS=1 firstspike generate smollm2-135m --tokens 36` less `--tokens 4`"
    return [("golden SmolLM2-135M, one core", f"{each:.2f} s a token", command)]


def hardware(folder: Path) -> list[Row]:
    """Bundled model on both integrators, and one layer of SmolLM2 in RTL."""
    rows, result = [], folder / "rtl.json"
    steps = 64 + 1  # the prompt has two tokens; the last token is not read
    for config in ("mac8", "spike8"):
        arguments = ["generate", "--backend", "rtl", "--config", config, "--tokens"]
        run(*arguments, "1")  # builds the simulation
        run(*arguments, "64", "--json", str(result))
        measured = json.loads(result.read_text())
        cycles, seconds = measured["counters"]["cycles"], measured["wall_seconds"]
        figure = f"{cycles / steps:,.0f} cycles a token, {steps / seconds:.1f} simulated a second"
        rows.append(
            (f"bundled model, `{config}`", figure, f"`firstspike {' '.join(arguments)} 64`")
        )
    for config in ("mac64", "spike64"):
        layer = ["verify", "smollm2-135m", "--config", config, "--layer", "7", "--tokens", "1"]
        verdict = run(*layer, "--prompt", "The capital").strip().splitlines()[-1]
        command = f'`firstspike {" ".join(layer)} --prompt "The capital"`'
        rows.append(("SmolLM2 layer 7, seven matrices in RTL", verdict, command))
    return rows


def memory() -> list[Row]:
    """Cycles of a SmolLM2 layer with external memory against their bound."""
    rows = []
    for lanes, integrator, memory in itertools.product((32, 64, 128), INTEGRATORS, PRESETS):
        config = f"{integrator}{lanes}-axi"
        arguments = f"verify smollm2-135m --config {config} --layer 7 --tokens 1 --memory {memory}"
        totals = json.loads(run(*arguments.split(), "--json", "-"))["totals"]
        cycles, useful = totals["cycles"], totals["useful_beats"]
        stalls = ", ".join(
            f"{cause} {totals['stall_' + cause] / cycles:.1%}"
            for cause in ("encoder", "scaler", "memory")
        )
        figure = (
            f"{cycles / totals['bound_cycles']:.3f} of the bound, useful beats in "
            f"{useful / cycles:.1%} of the cycles; stalls: {stalls}"
        )
        what = f"SmolLM2 layer 7, `{config}`, memory `{memory}`"
        rows.append((what, figure, f"`firstspike {arguments}`"))
    return rows


def whole() -> list[Row]:
    """All of SmolLM2 in RTL at 128 lanes."""
    rows = []
    for integrator in INTEGRATORS:
        arguments = ["verify", "smollm2-135m", "--config", f"{integrator}128-axi", "--tokens", "8"]
        arguments += ["--prompt", "The capital of France is"]
        run(*arguments[:-3], "1", "--layer", "0")  # builds the simulation
        lines = run(*arguments).strip().splitlines()
        command = " ".join(f'"{a}"' if " " in a else a for a in arguments)
        figure = "; ".join([f"*{' '.join(lines[:-2])}*", *lines[-2:]])
        rows.append((f"SmolLM2 whole, `{integrator}128-axi`", figure, f"`firstspike {command}`"))
    return rows


def tokens() -> list[Row]:
    """Whole tokens that the device makes."""
    rows = []
    runs = [["--config", f"{integrator}8-token"] for integrator in INTEGRATORS]
    runs += [
        ["smollm2-135m", "--config", config, "--prompt", "The capital of France is"]
        for config in ("mac32-token", "mac128-token")
    ]
    for options, memory in itertools.product(runs, PRESETS):
        arguments = ["verify", *options, "--memory", memory, "--tokens"]
        run(*arguments, "1")  # builds the simulation
        lines = run(*arguments, "8").strip().splitlines()
        command = " ".join(f'"{a}"' if " " in a else a for a in arguments)
        figure = "; ".join([f"*{' '.join(lines[:-2])}*", *lines[-2:]])
        what = "SmolLM2" if "smollm2-135m" in options else "bundled model"
        config = options[options.index("--config") + 1]
        name = f"{what}, whole tokens on `{config}`, memory `{memory}`"
        rows.append((name, figure, f"`firstspike {command} 8`"))
    return rows


def plans() -> list[Row]:
    """Tokens at position 128, predicted and simulated."""
    rows = []
    for config, memory in itertools.product(("mac32-token", "mac128-token"), PRESETS):
        arguments = ["plan", "smollm2-135m", "--config", config, "--memory", memory]
        arguments += ["--position", "128", "--measure"]
        lines = run(*arguments).strip().splitlines()
        figure = "; ".join(line for line in lines if line.startswith(PLANNED))
        name = f"SmolLM2 at position 128 on `{config}`, memory `{memory}`"
        rows.append((name, figure, f"`firstspike {' '.join(arguments)}`"))
    return rows


def faults() -> list[Row]:
    """Planted faults that `verify` finds and names."""
    found = 0
    for seed in range(SEEDS):
        printed = run("verify", "--tokens", "1", "--inject-fault", str(seed), codes=(0, 1))
        found += agrees(printed)
    command = f"`firstspike verify --tokens 1 --inject-fault SEED`, SEED 0..{SEEDS - 1}"
    return [
        ("planted faults found, and named as the first mismatch", f"{found} of {SEEDS}", command)
    ]


def agrees(printed: str) -> bool:
    """Tell whether the first difference that was named is where the fault was planted."""
    lines = printed.strip().splitlines()
    if len(lines) < 2 or not lines[1].startswith("injected: "):
        return False
    matrix, element = lines[0].split("token 0, ")[1].split(": ")[0].split(", tile ")
    element = element.split("element ")[1]
    injected = lines[1]
    if f" of {matrix}" not in injected:
        return False
    if "weight (" in injected:
        return f"weight ({element}, " in injected
    if "event" in injected:
        return injected.endswith(f"felt from output {element} on")
    return f"accumulator {element} of" in injected


def main() -> None:
    """Measure, and write the page."""
    with tempfile.TemporaryDirectory() as name:
        rows = [
            *accuracy(Path(name)),
            *planned(Path(name)),
            *baselines(),
            *speed(),
            *hardware(Path(name)),
        ]
        rows += [*memory(), *whole(), *tokens(), *plans(), *faults()]
    table = [f"| {what} | {figure} | {command} |" for what, figure, command in rows]
    text = "\n".join(
        [
            "# Results",
            "",
            "Written by `make bench` (`tools/bench.py`). Times are whole commands on the machine",
            "named here; simulated seconds are not hardware seconds.",
            "",
            f"{datetime.date.today()}, {os.cpu_count()} cores of {platform.machine()}, Python "
            f"{platform.python_version()}.",
            "",
            "| what | measured | command |",
            "|---|---|---|",
            *table,
            "",
        ]
    )
    write_whole(PAGE, text.encode())
    print(text)


if __name__ == "__main__":
    main()
