"""A token is disturbed at random moments in random ways; the next one must be right."""

from __future__ import annotations

import numpy as np
import pytest

from hw.spec.program import INSTRUCTION_BYTES, Opcode
from hw.spec.registers import REGISTERS, Access, Error, registers_of
from sim.verilated import BusError
from sw.driver.result import DeviceError
from sw.driver.token import TokenDevice
from tests.rtl import malformed
from tests.rtl.token_rig import COUNTED, MEMORIES, MODEL, Rig, rig

STRIKES = ("reset", "restart", "read", "write", "scribble", "nothing")
#: Registers that belong to the token.
_SCRIBBLED = ("program", "token", "position", "shape", "weight_base", "mode", "quantizer")
#: Instructions after which a program runs for many more cycles than a few accesses take.
_EARLY = 20


def run(core: str, seed: int) -> None:
    """Disturb one token; then one at the same place, and another, must be right."""
    bench, rng = rig(core), np.random.default_rng(seed)
    memory = int(rng.integers(len(MEMORIES)))
    bench.cost(memory)
    device, position = bench.device(memory), int(rng.integers(len(bench.tokens) - 1))
    transport = device.transport
    transport.load(0, bench.images[position])
    device.length = position
    try:
        match rng.choice(["interrupt", "malformed", "astray"], p=[0.6, 0.35, 0.05]):
            case "interrupt":
                _interrupt(rng, bench, device, memory, position)
            case "malformed":
                _run_malformed(rng, bench, device, position)
                transport.load(0, bench.images[position])
            case "astray":
                _run_astray(rng, bench, device)
                transport.load(0, bench.images[position])
        bench.check(device, bench.tokens[position], position)
        bench.check(device, int(rng.integers(MODEL.vocabulary)), position)
        assert device.length == position + 1
    except BaseException:
        transport.close()  # what another trial would find in it is of no use
        rig.cache_clear()
        raise


def _interrupt(rng, bench: Rig, device: TokenDevice, memory: int, position: int) -> None:
    """Let strikes follow each other while a token runs."""
    cycles, beats, writes = bench.cost(memory)
    transport, control = device.transport, REGISTERS["control"]
    strikes = list(rng.choice(STRIKES, rng.integers(1, 4)))

    def strike():
        for name in strikes:
            transport.tick(int(rng.integers(0, max(1, cycles * rng.choice([0.02, 0.4, 1])))))
            if name == "reset":
                device.reset()
            elif name == "restart":  # at once: a core that still waits for memory ignores it
                transport.write(control.address, control.pack(reset=1))
                transport.write(control.address, control.pack(run=1))
            elif name == "read":
                transport.fail(int(rng.integers(0, beats)), int(rng.integers(2, 4)))
            elif name == "write":
                transport.fail_write(int(rng.integers(0, writes)), int(rng.integers(2, 4)))
            elif name == "scribble":
                _scribble(rng, device, certain=not {"read", "write"} & set(strikes))

    errors = transport.memory_counts().errors
    stops = {"reset", "restart"} & set(strikes)
    transport.strike = strike
    token = int(rng.integers(MODEL.vocabulary))
    try:
        best = device.step(token, position)
    except DeviceError:
        error = read_error(device)
        errors = transport.memory_counts().errors - errors
        assert (error == Error.RESPONSE and errors) or (error == Error.NONE and stops)
    else:
        expected, counters, _ = bench.expected(token, position)
        assert best == expected
        assert {name: device.counters[name] for name in COUNTED} == counters
    transport.heal()


def _scribble(rng, device: TokenDevice, *, certain: bool) -> None:
    """Read everything; if it certainly runs, write what belongs to the token, and give commands."""
    transport = device.transport
    for register in registers_of(crossbar=False).values():
        if register.access in (Access.R, Access.RW):
            transport.read(register.address)
    reached = transport.read(REGISTERS["instruction"].address)
    if not certain or not read_status(device)["busy"] or reached > _EARLY:
        return
    for name in rng.permutation(_SCRIBBLED)[: rng.integers(1, 4)]:
        with pytest.raises(BusError):
            transport.write(REGISTERS[str(name)].address, int(rng.integers(0, 1 << 32)))
    command = REGISTERS["control"].pack(**{rng.choice(["start", "run"]): 1})
    transport.write(REGISTERS["control"].address, command)


def _run_malformed(rng, bench: Rig, device: TokenDevice, position: int) -> None:
    """Spoil one instruction: the core tells which and why, or runs what now is there."""
    transport, program = device.transport, bench.program
    spoiled = malformed.spoil(rng, program.instructions, bench.params)
    address = program.address + INSTRUCTION_BYTES * spoiled.number
    transport.load(address, np.frombuffer(spoiled.octets, np.uint8))
    try:
        device.step(int(rng.integers(MODEL.vocabulary)), position)
    except DeviceError as stop:
        error, reached = read_error(device), device.transport.read(REGISTERS["instruction"].address)
        assert error != Error.NONE
        assert spoiled.error in (error, None), (spoiled, stop)
        assert reached == spoiled.number or not spoiled.precise, (spoiled, stop)
    else:
        assert spoiled.error is None, spoiled


def _run_astray(rng, bench: Rig, device: TokenDevice) -> None:
    """Run what is no program, or for what is no token: it ends."""
    transport = device.transport
    size, address = bench.images[0].size, REGISTERS["program"].address
    place = int(rng.choice([rng.integers(size), size, rng.integers(1 << 32)]))
    transport.write(address, place // INSTRUCTION_BYTES * INSTRUCTION_BYTES)
    if rng.random() < 0.5:
        noise = rng.integers(0, 256, size, np.uint8)
        noise[::INSTRUCTION_BYTES] = rng.integers(
            0, max(Opcode) + 2, noise[::INSTRUCTION_BYTES].size
        )
        transport.load(0, noise)
    elif rng.random() < 0.5:
        transport.write(address, bench.program.address)
    for name in ("token", "position"):
        transport.write(REGISTERS[name].address, int(rng.integers(1 << rng.integers(1, 32))))
    device._command("run", device.longest)
    transport.write(address, bench.program.address)


def read_error(device: TokenDevice) -> Error:
    """Error code of a program that was stopped."""
    state = read_status(device)
    assert not state["busy"] and not state["done"]
    return Error(state["error"])


def read_status(device: TokenDevice) -> dict[str, int]:
    """Fields of register ``status``."""
    status = REGISTERS["status"]
    return status.unpack(device.transport.read(status.address))
