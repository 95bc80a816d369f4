"""`firstspike generate`: text on any backend."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from hw.spec.crossbar import Crossbar
from sw.code_tables import check_table
from sw.commands import options
from sw.crossbar import choose_crossbar, fitted
from sw.driver.decoder import TokenDecoder
from sw.energy.activity import layer_rows
from sw.errors import UserError
from sw.events import check_name, recorder_of
from sw.generate import Run, encode_prompt, first_token, generate, present
from sw.load.tokenizer import Tokenizer
from sw.opening import BACKENDS, golden_model, open_device, open_model, open_params, open_tokens
from sw.sample import Sampler

#: Configuration of boards, as `python -m hw.build --board` makes them.
BOARD_CONFIG = "ulx3s"

#: Bytes a clock cycle: what the lanes of a small core read at most.
_LINK = 4.0


def command(
    model: options.Model = None,
    prompt: Annotated[str, typer.Option(help="Text to continue.")] = "She was",
    tokens: Annotated[int, typer.Option(help="Tokens to generate.")] = 64,
    backend: Annotated[str, typer.Option(help=f"One of {', '.join(BACKENDS)}.")] = "golden",
    config: Annotated[
        str | None,
        typer.Option(
            help=f"Hardware configuration; {options.DEFAULT_CONFIG} if absent, {BOARD_CONFIG} on "
            "a board."
        ),
    ] = None,
    code: options.Code = None,
    integrator: options.Integrator = None,
    synapse: options.Synapse = "memory",
    device: options.DevicePreset = None,
    adc_bits: options.AdcBits = None,
    rows: options.Rows = None,
    clip: options.Clip = None,
    device_seed: options.DeviceSeed = None,
    image: options.Image = None,
    memory: options.Memory = None,
    vector: options.Vector = None,
    port: Annotated[
        str | None, typer.Option(help="Serial port of a board, with --backend serial.")
    ] = None,
    baud: Annotated[int | None, typer.Option(help="Its baud rate; 1000000 if absent.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Keep two layers in device memory, not all, in RTL.")
    ] = False,
    link: Annotated[
        float | None,
        typer.Option(help=f"Bytes a clock cycle that bring layers to --stream; {_LINK} if absent."),
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the prompt into the chat form.")
    ] = False,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Nucleus of the choice.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
    stop_at_eos: Annotated[bool, typer.Option("--stop-at-eos", help="End at end-of-text.")] = False,
    dump_events: Annotated[
        Path | None,
        typer.Option("--dump-events", help="Write every event to a file: .npz or .csv."),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Folder for `firstspike report`."),
    ] = None,
    json: options.Json = None,
) -> None:
    """Stream text to standard output and report the counters."""
    sampler = Sampler(temperature=temperature, top_p=top_p, seed=seed)
    run = generate_run(
        model,
        prompt=prompt,
        tokens=tokens,
        backend=backend,
        config=config or (BOARD_CONFIG if backend == "serial" else options.DEFAULT_CONFIG),
        code=code,
        integrator=integrator,
        crossbar=choose_crossbar(
            synapse, device, adc_bits=adc_bits, rows=rows, clip=clip, seed=device_seed
        ),
        image=image,
        memory=memory,
        vector=vector,
        port=port,
        baud=baud,
        link=_link(stream, link),
        chat=chat,
        sampler=sampler,
        seed=seed,
        stop_at_eos=stop_at_eos,
        dump_events=dump_events,
        run_folder=run_folder,
        screen=options.to_screen(json),
    )
    options.write_json(json, run.as_json())


def generate_run(
    model_name: str | None,
    *,
    prompt: str,
    tokens: int,
    backend: str,
    config: str,
    code: str | None = None,
    integrator: str | None = None,
    crossbar: Crossbar | None = None,
    image: Path | None = None,
    memory: str | None = None,
    vector: str | None = None,
    port: str | None = None,
    baud: int | None = None,
    link: float | None = None,
    chat: bool = False,
    sampler: Sampler | None = None,
    seed: int = 0,
    stop_at_eos: bool = False,
    dump_events: Path | None = None,
    run_folder: Path | None = None,
    screen=sys.stdout,
) -> Run:
    """Generate text, streaming it to ``screen``; arguments as on the command line."""
    options.positive("--tokens", tokens)
    if backend not in BACKENDS:
        raise UserError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
    if memory is not None and backend != "rtl":
        raise UserError(
            f"--memory is the timing of a memory in RTL, not of {backend}; leave it out"
        )
    if backend != "serial" and (port is not None or baud is not None):
        raise UserError("--port and --baud are of a board; add --backend serial, or leave them out")
    params = open_params(config, integrator, crossbar)
    vector = options.vector(vector, params, config)
    if backend == "serial" and (vector != "device" or link is not None):
        raise UserError(
            "a board makes whole tokens from its own memory; leave --vector and --stream out, and "
            f"name the configuration of its bitstream with --config, such as {BOARD_CONFIG}"
        )
    if vector == "device" and image is not None:
        raise UserError("--image holds matrices only; leave it out, or give --vector host")
    if link is not None and (backend == "golden" or vector == "host"):
        raise UserError(
            "--stream needs a core that makes tokens by itself; add --backend rtl and a "
            "configuration with vector memory, such as mac8-token-small"
        )
    recording = dump_events is not None or run_folder is not None
    if recording and vector == "device" and backend != "golden":
        raise UserError(
            "events are recorded where the host drives the matrices; add --vector host, or leave "
            "--dump-events and --run out"
        )
    if dump_events is not None:
        check_name(dump_events)
    model = fitted(open_model(model_name), crossbar)
    table = check_table(code, model.table)
    tokenizer = Tokenizer.from_spec(model.tokenizer_spec)
    ids = encode_prompt(tokenizer, prompt, chat=chat, tokens=tokens, context=model.config.context)
    with contextlib.ExitStack() as stack:
        decoder, counting, build_seconds = _open(
            stack,
            model,
            vector=vector if backend != "golden" else "golden",
            params=params,
            config=config,
            table=table,
            backend=backend,
            memory=memory,
            link=link,
            image=image,
            context=len(ids) + tokens,
            port=port,
            baud=baud,
        )
        recorder = recorder_of(decoder, model) if recording else None
        start = time.monotonic()
        stream, new = tokenizer.stream(), list[int]()
        _emit(screen, "" if chat else prompt, "")
        text, first = "", None
        for token in generate(
            decoder,
            ids,
            tokens=tokens,
            sampler=sampler or Sampler(),
            stop=tokenizer.eos if stop_at_eos else None,
            progress=_prompt_progress if backend != "golden" else None,
        ):
            if not new and isinstance(decoder, TokenDecoder):
                first = first_token(decoder.counters, params)
            new.append(token)
            text = _emit(screen, stream.push(token), text)
        text = _emit(screen, stream.finish() + "\n", text)[:-1]
        wall_seconds = time.monotonic() - start
        counters = present(counting.counters)
        if first:
            screen.write(
                f"first token after {first['cycles']:,} cycles and {first['bytes_read']:,} bytes "
                f"of weights, for {len(ids)} of the prompt\n"
            )
        if link is not None:
            counts = decoder.device.counts
            counters["stream"] = dataclasses.asdict(counts) | {"overlap": counts.overlap}
            screen.write(f"{counts}\n")
    run = Run(
        tokens=new,
        text=text,
        counters=counters,
        first_token=first,
        config=config,
        model=model.name,
        table=table,
        backend=backend,
        seed=seed,
        wall_seconds=wall_seconds,
        build_seconds=build_seconds,
    )
    if recorder is not None:
        _write_recording(recorder, run, prompt, ids, dump_events, run_folder)
    return run


def _write_recording(recorder, run, prompt, ids, dump_events, run_folder) -> None:
    events = recorder.events()
    if dump_events is not None:
        events.save(dump_events)
    if run_folder is not None:
        count = len(events.scales)
        layers = [
            layer | {key: each / count for key, each in recorder.work[layer["tensor"]].items()}
            for layer in layer_rows(recorder.activities.values(), count)
        ]
        content = {"kind": "generate", "prompt": prompt, "prompt_tokens": len(ids)}
        content |= run.as_json() | {"layers": layers, "recorded_tokens": count}
        options.write_run(run_folder, "generate.json", content)
        events.save(run_folder / "events.npz")


def _open(stack, model, *, vector, image, backend, memory, link, context, port, baud, **core):
    """Open what decodes, and what counts; return both, and the time that it took to build."""
    if vector == "device":
        decoder, seconds = stack.enter_context(
            open_tokens(
                model,
                backend=backend,
                memory=memory,
                link=link,
                context=context,
                port=port,
                baud=baud,
                **core,
            )
        )
        return decoder, decoder, seconds
    linear, seconds = None, 0.0
    if vector == "host":
        linear, seconds = stack.enter_context(
            open_device(model, image=image, backend=backend, memory=memory, **core)
        )
    golden = golden_model(model, table=core["table"], params=core["params"], linear=linear)
    return golden, linear or golden, seconds


def _link(stream: bool, link: float | None) -> float | None:
    """Return the speed of the link that layers come by, None without streaming."""
    if link is not None and not stream:
        raise UserError("--link is how fast layers come with --stream; add it, or leave both out")
    return _LINK if stream and link is None else link


def _emit(screen, piece: str, text: str) -> str:
    screen.write(piece)
    screen.flush()
    return text + piece


def _prompt_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"reading the prompt: token {done} of {total}", end=end, file=sys.stderr, flush=True)
