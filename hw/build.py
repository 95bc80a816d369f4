"""Command ``python -m hw.build``: a configuration becomes Verilog and a manifest.

With ``--board`` it becomes a bitstream.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib.wiring import Component, In, Signature

from hw.core import CLOCK, Core
from hw.spec.configs import CONFIGS, DEFAULT
from hw.spec.params import INTEGRATORS, CoreParams
from hw.spec.registers import Register, registers_of
from hw.synapse.block_ram import VERILOG

#: Name of the Verilog module.
TOP = "firstspike"

#: Contents of a blank memory: synthesis maps memories without contents to block RAM anywhere.
_BLANK_CONTENTS = re.compile(r"  initial begin\n(?: +\S+?\[\d+\] = \d+'[dh]0+;\n)+  end\n")

#: Declarations of signals without bits, which nothing refers to.
_EMPTY = re.compile(r"^  (?:wire|reg) \[-1:0\] \S+ ?;\n", re.MULTILINE)


class VerilogPlatform:
    """Asks components for the form that is meant for Verilog."""


def generate(params: CoreParams, kind: type[Core] = Core) -> tuple[str, dict]:
    """Verilog of a core, and what an integrator must know of it.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.
    kind : type
        A variant of the core.

    Returns
    -------
    text : str
        Verilog; the same bytes for the same parameters.
    manifest : dict
        Top module, hash, configuration, ports and registers, ready for JSON.
    """
    core = kind(params)
    text = convert(core, TOP)
    registers = registers_of(crossbar=params.crossbar is not None)
    manifest = {
        "top": TOP,
        "hash": f"0x{params.hash:016x}",
        "configuration": params.describe(),
        "ports": ports(core.signature),
        "registers": [_describe(register) for register in registers.values()],
    }
    return text, manifest


def convert(component: Component, name: str) -> str:
    """Verilog of any component, with ``name`` as its top module."""
    text = verilog.convert(
        component, name=name, platform=VerilogPlatform(), emit_src=False, strip_internal_attrs=True
    )
    return _EMPTY.sub("", _BLANK_CONTENTS.sub("", text)) + VERILOG


def ports(signature: Signature) -> list[dict]:
    """Name, direction and width of every port of a Verilog module, clock and reset first."""
    found = []
    for name, member in {**{name: In(1) for name in CLOCK}, **signature.members}.items():
        direction = "input" if member.flow is In else "output"
        width = Shape.cast(member.shape).width
        found.append({"name": name, "direction": direction, "width": width})
    return found


def _describe(register: Register) -> dict:
    fields = [
        {"name": f.name, "start": f.start, "width": f.width, "text": f.text}
        for f in register.fields
    ]
    return {
        "name": register.name,
        "address": register.address,
        "access": register.access.name,
        "text": register.text,
        "fields": fields,
    }


def write(name: str, folder: Path, *, integrator: str | None = None) -> list[Path]:
    """Generate a named configuration into ``folder``; return the paths of its files.

    Parameters
    ----------
    name : str
        Name in :data:`hw.spec.configs.CONFIGS`.
    folder : Path
        Where NAME.v and NAME.json go; made if it is not there.
    integrator : str, optional
        Used instead of the configuration's.
    """
    config = CONFIGS[name]
    params = CoreParams(config.replace(integrator=integrator) if integrator else config)
    text, manifest = generate(params)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": name, **manifest}
    contents = {f"{name}.v": text, f"{name}.json": json.dumps(manifest, indent=2) + "\n"}
    return [_replace(folder / file, content) for file, content in contents.items()]


def _replace(path: Path, content: str) -> Path:
    """Write a whole file or none."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _summary(name: str) -> str:
    config = CONFIGS[name]
    octets = config.memory_beats * config.lanes // 2
    where = "on chip" if config.memory == "onchip" else "outside"
    tokens = ", runs tokens" if config.vector_words else ""
    sentences = ", and encoders" if config.encoder else ""
    return (
        f"{name:{max(map(len, CONFIGS))}} {config.lanes} {config.integrator} lanes, "
        f"{octets:,} bytes of memory {where}, {config.max_inputs} inputs, "
        f"{config.max_outputs} outputs{tokens}{sentences}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    from hw.boards import command as boards  # they need this module

    parser = argparse.ArgumentParser(prog="python -m hw.build", description=__doc__)
    parser.add_argument(
        "--config", help=f"configuration; {DEFAULT}, or the board's own, if not given"
    )
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--integrator", help="mac or spike; the configuration's if not given")
    parser.add_argument("--list", action="store_true", help="list the configurations and stop")
    boards.add_options(parser)
    options = parser.parse_args(arguments)
    if options.list:
        for name in CONFIGS:
            fits = boards.fitting(name)
            print(_summary(name) + f"; fits {', '.join(fits)}" * bool(fits))
        return 0
    if options.list_boards:
        return boards.list_boards()
    if options.board is not None:
        return boards.run(options)
    name = options.config or DEFAULT
    if name not in CONFIGS:
        known = ", ".join(CONFIGS)
        print(f"There is no configuration {name!r}; choose {known}.", file=sys.stderr)
        return 2
    if options.integrator not in (None, *INTEGRATORS):
        known = " or ".join(INTEGRATORS)
        print(f"There is no integrator {options.integrator!r}; choose {known}.", file=sys.stderr)
        return 2
    if why := boards.without_board(options):
        print(why, file=sys.stderr)
        return 2
    if options.out is None:
        print("Name a folder for the generated files with --out.", file=sys.stderr)
        return 2
    try:
        paths = write(name, options.out, integrator=options.integrator)
    except OSError as error:
        print(f"Cannot write to {options.out}: {error.strerror}.", file=sys.stderr)
        return 2
    print("\n".join(map(str, paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
