"""The command line: ``firstspike COMMAND``."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from typing import NoReturn

import typer

from sw.errors import UserError

#: Subcommands, each the function ``command`` of a module in `sw.commands`, imported when used.
COMMANDS = {
    "generate": "Generate text on the golden model, on simulated hardware, or on a board.",
    "verify": "Run golden model and hardware side by side; stop at the first difference.",
    "eval": "Measure perplexity of the float, fake-quantized and golden model.",
    "inspect": "Show what a model holds.",
    "convert": "Convert a checkpoint to a container of integers.",
    "compare": "Measure every baseline on one text: accuracy, events, bytes, energy.",
    "energy": "Joules of a token: counters times cited constants.",
    "train": "Fine-tune an encoder, with quantization and dead zone in the loop if wanted.",
    "report": "One self-contained page of what a run did.",
    "plan": "Predict cycles and bytes of a token or a sentence on a core and a memory.",
    "crossbar": "Map a model on memristor crossbars; export or check conductances.",
    "compile": "Lay a model out for one hardware configuration.",
    "fetch": "Bring a model or texts into the cache.",
    "board-sim": "Simulate a board behind a pseudo-terminal, which looks like a serial port.",
    "demo": "Build the hardware, run the bundled model on it, compare with the golden model.",
    "doctor": "Say what is missing on this machine, and for which command.",
}

#: Modules whose names differ from their commands'.
_MODULES = {"eval": "evaluate", "compile": "compile_image", "board-sim": "board_sim"}


def main() -> None:
    """Run the command line; whatever a user can get wrong is one sentence and exit code 2."""
    try:
        code = _run(sys.argv[1:])
    except UserError as error:
        _fail(str(error), 2)
    except typer.TyperException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name == "--version":
        print(f"firstspike {importlib.metadata.version('firstspike')}")
        return 0
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    module = importlib.import_module(f"sw.commands.{_MODULES.get(name, name)}")
    app = typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(name, help=COMMANDS[name])(module.command)
    try:
        result = app(rest, standalone_mode=False, prog_name=f"firstspike {name}")
    except typer.Exit as stop:
        return stop.exit_code
    return result if isinstance(result, int) else 0


def usage() -> str:
    """Text of ``firstspike --help``."""
    lines = [f"  {name:<9} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: firstspike COMMAND [OPTIONS]",
            "",
            "  Run language models as time-to-first-spike events and integers, bit for bit.",
            "",
            "Commands (firstspike COMMAND --help says more):",
            *lines,
        ]
    )


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
