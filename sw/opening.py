"""Turns what a person names into a model, a configuration and a running backend."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hw.spec.configs import CONFIGS
from hw.spec.crossbar import Crossbar
from hw.spec.params import INTEGRATORS, CoreParams
from sw.compile.encoder_program import EncoderProgram
from sw.compile.image import DeviceImage, compile_model, load_image
from sw.compile.program import compile_program
from sw.compile.stream import compile_stream
from sw.convert.container import ConvertedModel, load
from sw.convert.convert import convert
from sw.convert.convert_encoder import convert_encoder
from sw.convert.encoder import ENCODER_MAGIC, ConvertedEncoder, load_encoder
from sw.driver.decoder import TokenDecoder
from sw.driver.device import Device
from sw.driver.encoder import EncoderDevice
from sw.driver.linear import DeviceLinear
from sw.driver.link import check_speed
from sw.driver.stream import StreamDevice
from sw.driver.token import TokenDevice
from sw.driver.transport import Transport
from sw.errors import UserError
from sw.golden.decoder import GoldenModel
from sw.golden.encoder import GoldenEncoder
from sw.load.checkpoint import Checkpoint, EncoderCheckpoint
from sw.load.fetch import MODELS, SMOLLM2_MEMBER, cache_folder, resolve_checkpoint
from sw.load.gguf import load_gguf
from sw.load.hf import is_encoder, load_huggingface
from sw.load.hf_files import is_checkpoint, safetensors_metadata
from sw.models import bundled_model

BUNDLED = ("bundled", "austen-0.3m")
BACKENDS = ("golden", "rtl", "cocotb", "serial")


def open_checkpoint(name: str | None) -> Checkpoint:
    """Load a decoder by path or short name; the bundled one if ``name`` is None.

    Raises
    ------
    UserError
        If there is no such checkpoint, or it is an encoder.
    """
    loaded = open_any_checkpoint(name)
    if isinstance(loaded, EncoderCheckpoint):
        raise UserError(f"{name} is an encoder, where a decoder of the Llama family is wanted")
    return loaded


def open_any_checkpoint(name: str | None) -> Checkpoint | EncoderCheckpoint:
    """Load a decoder or an encoder by path or short name; the bundled model if ``name`` is None."""
    path = bundled_model() if name is None or name in BUNDLED else resolve_checkpoint(name)
    return load_huggingface(path) if _is_huggingface(path) else load_gguf(path)


def open_encoder(name: str) -> EncoderCheckpoint:
    """Load an encoder by path or short name.

    Raises
    ------
    UserError
        If there is no such checkpoint, or it is a decoder.
    """
    loaded = open_any_checkpoint(name)
    if not isinstance(loaded, EncoderCheckpoint):
        raise UserError(f"{name} is no encoder; name minilm or a model of the BERT family")
    return loaded


def open_converted_encoder(name: str | None) -> ConvertedEncoder | None:
    """Load an encoder's container, or convert an encoder in 8 bits; None if it is no encoder."""
    if name is None or name in BUNDLED:
        return None
    if is_encoder_container(name):
        return load_encoder(name)
    if not Path(name).exists() and name not in MODELS:
        return None
    path = resolve_checkpoint(name)
    if not _is_huggingface(path) or not is_encoder(path):
        return None
    return convert_encoder(open_encoder(name))


def is_encoder_container(name: str) -> bool:
    """Tell whether a name is that of a converted encoder's file."""
    return Path(name).is_file() and ENCODER_MAGIC in safetensors_metadata(Path(name))


def _is_huggingface(path: Path) -> bool:
    return path.is_dir() or path.suffix == ".safetensors" and is_checkpoint(path)


def open_model(name: str | None) -> ConvertedModel:
    """Load a container, or convert a checkpoint with the shipped defaults.

    Parameters
    ----------
    name : str, optional
        Path of a container or a GGUF file, or a short name; the bundled model if absent.

    Raises
    ------
    UserError
        If there is no such model, or its file is damaged or of a kind not supported.
    """
    if _is_container(name):
        if is_encoder_container(str(name)):
            raise UserError(f"{name} is an encoder, where a decoder of the Llama family is wanted")
        return load(str(name))
    return convert(open_checkpoint(name))


def open_source(name: str | None, model: ConvertedModel) -> Checkpoint | None:
    """Load the checkpoint that a model came from, if it is at hand.

    Parameters
    ----------
    name : str, optional
        What `open_model` was given.
    model : ConvertedModel
        What it returned.

    Returns
    -------
    Checkpoint or None
        None if ``name`` is a container of neither the bundled nor a fetched checkpoint.
    """
    if not _is_container(name):
        return open_checkpoint(name)
    for path in (bundled_model(), cache_folder() / Path(SMOLLM2_MEMBER).name):
        if path.is_file() and file_hash(path) == model.source["sha256"]:
            return load_gguf(path)
    return None


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_container(name: str | None) -> bool:
    if name is None or name in BUNDLED or not Path(name).is_file():
        return False
    return not _is_gguf(name) and not _is_huggingface(Path(name))


def _is_gguf(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"GGUF" or path.endswith(".gguf")


def open_params(
    config: str, integrator: str | None = None, crossbar: Crossbar | None = None
) -> CoreParams:
    """Parameters of a named configuration, perhaps with crossbars.

    Raises
    ------
    UserError
        If there is no such configuration or integrator, or it cannot have crossbars.
    """
    if config not in CONFIGS:
        raise UserError(f"configuration must be one of {', '.join(CONFIGS)}, not {config!r}")
    if integrator is not None and integrator not in INTEGRATORS:
        raise UserError(f"integrator must be one of {', '.join(INTEGRATORS)}, not {integrator!r}")
    chosen = CONFIGS[config]
    if crossbar:
        chosen = chosen.replace(integrator=integrator or "spike", crossbar=crossbar)
        try:
            return CoreParams(chosen)
        except ValueError as error:
            raise UserError(f"configuration {config}: {error}") from None
    return CoreParams(chosen.replace(integrator=integrator) if integrator else chosen)


def open_memory(text: str):
    """Return the timing of external memory, a :class:`sim.memory.MemoryModel`.

    Raises
    ------
    UserError
        If the text makes no sense.
    """
    return importlib.import_module("sim.memory").MemoryModel.parse(text)


def open_transport(
    params: CoreParams,
    *,
    backend: str = "rtl",
    trace: Path | None = None,
    memory: str | None = None,
    port: str | None = None,
    baud: int | None = None,
) -> Transport:
    """Build and start a core: Verilated in this process, or under cocotb in another.

    With ``serial`` it is that of a board on a serial port.

    Raises
    ------
    UserError
        If ``memory``, the timing of external memory, makes no sense or has no place, or if no board
        answers.
    """
    if backend == "serial":
        return open_serial(port, baud)
    if memory is not None and not params.external:
        raise UserError(
            "--memory is the timing of external memory, which this configuration has none of; "
            "choose another, such as mac32-axi"
        )
    if backend == "cocotb":
        return importlib.import_module("sim.cocotb_transport").CocotbTransport(params)
    return importlib.import_module("sim.verilated").VerilatedTransport(
        params, trace=trace, memory=memory
    )


def open_serial(port: str | None, baud: int | None) -> Transport:
    """Reach a board.

    Raises
    ------
    UserError
        If no port is named, or no board answers there.
    """
    module = importlib.import_module("sw.driver.serial")
    if port is None:
        found = ", ".join(module.ports()) or "none is plugged in"
        raise UserError(f"name the board's serial port with --port ({found})")
    return module.SerialTransport(port, baud=baud or module.BAUD, progress=module.show_progress)


@contextlib.contextmanager
def open_device(
    model: ConvertedModel | ConvertedEncoder,
    *,
    params: CoreParams,
    config: str,
    table: str,
    image: Path | None = None,
    backend: str = "rtl",
    memory: str | None = None,
) -> Iterator[tuple[DeviceLinear, float]]:
    """Run a core with a model in it.

    Yields
    ------
    linear : DeviceLinear
        Multiplies by the model's matrices on the core.
    build_seconds : float
        Time that Verilator and the compiler took; 0 if the build was cached.
    """
    layout = load_matching_image(image, model, params, config, table)
    transport = open_transport(params, backend=backend, memory=memory)
    try:
        device = Device(transport, params)
        device.load(layout)
        yield DeviceLinear(device, model, table=table), transport.build_seconds
    finally:
        transport.close()


@contextlib.contextmanager
def open_tokens(
    model: ConvertedModel,
    *,
    params: CoreParams,
    config: str,
    table: str,
    backend: str = "rtl",
    memory: str | None = None,
    link: float | None = None,
    context: int | None = None,
    port: str | None = None,
    baud: int | None = None,
) -> Iterator[tuple[TokenDecoder, float]]:
    """Run a core that makes whole tokens of a model, ``context`` at most, or all that it can.

    The fewer, the more of a prompt are made at once.

    With ``link``, bytes in a clock cycle, device memory holds two layers, which are loaded at that
    speed beside the core: the decoder's device is a :class:`sw.driver.stream.StreamDevice`.
    ``port`` and ``baud`` are the serial line of a board.

    Yields
    ------
    decoder : TokenDecoder
        Makes tokens on the core.
    build_seconds : float
        Time that Verilator and the compiler took; 0 if the build was cached.
    """
    start: Callable[[Transport], TokenDevice]
    if link is None:
        whole = compile_program(model, params, name=config, table=table, context=context)
        start = partial(TokenDevice, params=params, program=whole)
    else:
        check_speed(link)
        streamed = compile_stream(model, params, name=config, table=table, context=context)
        start = partial(StreamDevice, params=params, program=streamed, link=link)
    transport = open_transport(params, backend=backend, memory=memory, port=port, baud=baud)
    try:
        yield TokenDecoder(start(transport)), transport.build_seconds
    finally:
        transport.close()


@contextlib.contextmanager
def open_sentences(
    model: ConvertedEncoder,
    *,
    params: CoreParams,
    config: str,
    table: str,
    backend: str = "rtl",
    memory: str | None = None,
    context: int | None = None,
) -> Iterator[tuple[EncoderDevice, float]]:
    """Run a core that encodes whole sentences, of ``context`` tokens at most.

    Yields
    ------
    device : EncoderDevice
        Encodes sentences on the core.
    build_seconds : float
        Time that Verilator and the compiler took; 0 if the build was cached.
    """
    program = EncoderProgram(model, params, name=config, table=table, context=context)
    transport = open_transport(params, backend=backend, memory=memory)
    try:
        yield EncoderDevice(transport, params, program), transport.build_seconds
    finally:
        transport.close()


def load_matching_image(
    path: Path | None,
    model: ConvertedModel | ConvertedEncoder,
    params: CoreParams,
    config: str,
    table: str,
) -> DeviceImage:
    """Device image from a file, or made now."""
    if path is None:
        return compile_model(model, params, name=config, table=table)
    image = load_image(path)
    if image.source != model.source:
        raise UserError(f"{path} was compiled from {image.name}, not from {model.name}")
    return image


def golden_model(
    model: ConvertedModel, *, table: str, params: CoreParams, linear=None, batch: int = 1
) -> GoldenModel:
    """Golden model that predicts the memory counters of a configuration."""
    core = _core_of(params)
    return GoldenModel(
        model, table=table, linear=linear, batch=batch, crossbar=params.crossbar, **core
    )


def golden_encoder(
    model: ConvertedEncoder, *, table: str, params: CoreParams, linear=None, batch: int = 1
) -> GoldenEncoder:
    """Golden encoder that predicts the memory counters of a configuration."""
    return GoldenEncoder(model, table=table, linear=linear, batch=batch, **_core_of(params))


def _core_of(params: CoreParams) -> dict[str, Any]:
    """Arguments that say whose reads are predicted."""
    return {
        "lanes": params.lanes,
        "tile_lanes": params.tile_lanes,
        "integrator": params.integrator,
        "memory": params.config.memory,
        "hole": params.hole,
    }
