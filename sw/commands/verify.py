"""`firstspike verify`: golden model and hardware side by side."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from hw.spec.params import CoreParams
from sw.code_tables import check_table
from sw.commands import options
from sw.commands.verify_sentences import read_sentences, report_sentences, verify_sentences
from sw.commands.verify_tokens import read_along, report_tokens, verify_tokens
from sw.convert.container import ConvertedModel
from sw.crossbar import choose_crossbar, fitted
from sw.driver.device import Device
from sw.errors import UserError
from sw.fault import Fault, FaultInjector
from sw.generate import encode_prompt
from sw.golden.linear import input_site
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import (
    golden_model,
    load_matching_image,
    open_converted_encoder,
    open_device,
    open_model,
    open_params,
    open_transport,
)
from sw.verify import ComparingLinear, MismatchError

#: Multiplications of a layer, and after all layers.
_PER_LAYER, _AFTER = 4, 1


def command(
    model: options.Model = None,
    prompt: Annotated[str | None, typer.Option(help="Text to continue.")] = None,
    text: Annotated[
        str | None, typer.Option(help="File, or novels/NAME, to read along (teacher-forced).")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the prompt into the chat form.")
    ] = False,
    tokens: Annotated[int, typer.Option(help="Tokens to generate, or to read.")] = 8,
    config: options.Config = options.DEFAULT_CONFIG,
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
    layer: Annotated[
        int | None, typer.Option(help="Run only this layer's matrices on hardware.")
    ] = None,
    inject_fault: Annotated[
        int | None, typer.Option("--inject-fault", metavar="SEED", help="Plant one fault first.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="FST waveform of the multiplication that differs.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Compare every accumulator, or every token, and counter; exit with 1 at the first difference.

    Where the device does all of a token, its largest logits are compared, and on a difference the
    instruction is found after which vector memory differs. Of an encoder every line of the prompt,
    or of the text, is a sentence; all its words are compared.
    """
    options.positive("--tokens", tokens)
    if prompt is not None and text is not None:
        raise UserError("give --prompt or --text, not both")
    if inject_fault is not None and inject_fault < 0:
        raise UserError(f"--inject-fault takes a seed of 0 or more, not {inject_fault}")
    crossbar = choose_crossbar(
        synapse, device, adc_bits=adc_bits, rows=rows, clip=clip, seed=device_seed
    )
    params = open_params(config, integrator, crossbar)
    single = {"--layer": layer, "--inject-fault": inject_fault, "--trace": trace, "--image": image}
    given = [name for name, value in single.items() if value is not None]
    if encoder := open_converted_encoder(model):
        if given or chat:
            raise UserError(f"{given[0] if given else '--chat'} is not for encoders; leave it out")
        if crossbar:
            raise UserError("--synapse crossbar is for decoders only so far; leave it out")
        table = check_table(code, encoder.table)
        chosen = options.vector(vector, params, config, encoder=True)
        sentences = read_sentences(encoder, prompt, text, tokens)
        record = verify_sentences(
            encoder,
            sentences,
            params=params,
            config=config,
            table=table,
            memory=memory,
            vector=chosen,
        )
        report_sentences(record, options.to_screen(json))
        options.write_json(json, record)
        return
    converted = fitted(open_model(model), crossbar)
    if layer is not None and not 0 <= layer < converted.config.layers:
        raise UserError(f"--layer must be 0..{converted.config.layers - 1}, not {layer}")
    if layer is not None and inject_fault is not None:
        raise UserError("--inject-fault chooses the layer itself; leave --layer out")
    table = check_table(code, converted.table)
    ids, generated = _tokens(converted, prompt, text, tokens, chat=chat)
    chosen = options.vector(vector, params, config)
    if vector is None and given:
        chosen = "host"
    if chosen == "device" and given:
        raise UserError(f"{given[0]} is for matrices one by one; give --vector host with it")
    if chosen == "device":
        report = report_tokens
        record, new = verify_tokens(
            converted, ids, generated, params=params, config=config, table=table, memory=memory
        )
    else:
        report = _report
        record, new = _verify_matrices(
            converted,
            ids,
            generated,
            params=params,
            config=config,
            table=table,
            memory=memory,
            image=image,
            layer=layer,
            inject_fault=inject_fault,
            trace=trace,
        )
    screen = options.to_screen(json)
    if new:
        print(Tokenizer.from_spec(converted.tokenizer_spec).decode(ids + new), file=screen)
    report(record, screen)
    options.write_json(json, record)


def _verify_matrices(
    model: ConvertedModel,
    ids: list[int],
    generated: int,
    *,
    params: CoreParams,
    config: str,
    table: str,
    memory: str | None,
    image: Path | None,
    layer: int | None,
    inject_fault: int | None,
    trace: Path | None,
) -> tuple[dict, list[int]]:
    """Compare matrix by matrix; as :func:`sw.commands.verify_tokens.verify_tokens`."""
    with open_device(
        model, params=params, config=config, table=table, image=image, memory=memory
    ) as (device, _):
        golden = golden_model(model, table=table, params=params)
        only = "" if layer is None else f"layers.{layer}."
        comparing = ComparingLinear(golden.golden, device, only=only)
        golden.linear = comparing
        injector = None
        if inject_fault is not None:
            calls = _PER_LAYER * model.config.layers + _AFTER
            injector = FaultInjector(golden.golden, device, calls=calls, seed=inject_fault)
            comparing.before = injector
        started = time.monotonic()
        try:
            new = read_along(golden, ids, generated)
        except MismatchError as error:
            print(error)
            fault = injector.fault if injector else None
            if fault:
                print(f"injected: {fault.text}")
            if trace is not None:
                _trace(trace, error, fault, model, params, table, config, image)
            sys.exit(1)
        seconds = time.monotonic() - started
    return _record(comparing, tokens=comparing.token, seconds=seconds), new


def _record(comparing: ComparingLinear, *, tokens: int, seconds: float) -> dict:
    """Give what was compared, and the counters of every matrix, ready for JSON."""
    totals: dict[str, float] = {}
    for counters in comparing.totals.values():
        for name, count in counters.items():
            totals[name] = totals.get(name, 0) + count
    return {
        "multiplications": comparing.calls,
        "compared": comparing.compared,
        "mismatches": 0,
        "tokens": tokens,
        "wall_seconds": seconds,
        "totals": totals,
        "matrices": comparing.totals,
    }


def _report(record: dict, screen) -> None:
    totals = record["totals"]
    cycles, bound = totals["cycles"], totals["bound_cycles"]
    print(
        f"{cycles:,.0f} cycles, {cycles / bound:.3f} of the bound (a beat a cycle, or the lanes); "
        f"useful beats in {totals['useful_beats'] / cycles:.1%} of them; "
        f"{record['wall_seconds'] / record['tokens']:.1f} s a token",
        file=screen,
    )
    print(
        f"equal to the golden model: {record['multiplications']} multiplications, "
        f"{record['compared']} accumulators and counters, 0 mismatches",
        file=screen,
    )


def _tokens(
    model: ConvertedModel, prompt: str | None, text: str | None, tokens: int, *, chat: bool
) -> tuple[list[int], int]:
    """Token ids to read, and how many to generate after them."""
    tokenizer, context = Tokenizer.from_spec(model.tokenizer_spec), model.config.context
    if text is None:
        prompt = "She was" if prompt is None else prompt
        ids = encode_prompt(tokenizer, prompt, chat=chat, tokens=tokens, context=context)
        return ids, tokens
    if tokens > context:
        raise UserError(f"--tokens {tokens} exceeds the model's context of {context}")
    ids = tokenizer.encode(resolve_text(text)[: 64 * tokens])[:tokens]
    if not ids:
        raise UserError(f"{text} is empty; name a file with text")
    return ids, 0


def _trace(
    path: Path,
    error: MismatchError,
    fault: Fault | None,
    model: ConvertedModel,
    params: CoreParams,
    table: str,
    config: str,
    image: Path | None,
) -> None:
    """Repeat the multiplication that differs on a traced core."""
    name = error.difference.matrix
    transport = open_transport(params, trace=path)
    try:
        device = Device(transport, params)
        device.load(load_matching_image(image, model, params, config, table))
        if fault:
            fault.plant(device)
        device.matvec(
            name, error.x, quantizer=model.quantizer(input_site(name), table), table=table
        )
    finally:
        transport.close()
    print(f"waveform of {name} in {path}")
