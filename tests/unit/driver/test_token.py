"""Tokens through registers, on a core made of software."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import INSTRUCTION_BYTES, Opcode
from hw.spec.registers import COUNTERS, REGISTERS
from sw.compile.program import compile_program
from sw.driver.golden_transport import GoldenTransport
from sw.driver.result import DeviceError
from sw.driver.token import TokenDevice
from sw.errors import UserError
from tests.unit.compile.programs import best_of, golden_of, small_core, small_model

torch.set_num_threads(1)

MODEL = small_model(9)
PARAMS = small_core()


@pytest.fixture(scope="module")
def program():
    return compile_program(MODEL, PARAMS, name="small")


@pytest.fixture
def device(program):
    return TokenDevice(GoldenTransport(PARAMS), PARAMS, program)


def test_tokens_and_counters(device):
    golden = golden_of(MODEL, PARAMS)
    token = 1
    for position in range(5):
        golden.golden.reset()
        expected = best_of(golden.step(token), PARAMS.best)
        best = device.step(token, position)
        assert best == expected
        counted = {n: golden.counters[n] for n in COUNTERS if golden.counters[n] is not None}
        assert {name: device.counters[name] for name in counted} == counted
        assert device.length == position + 1 and device.cycles == 0
        token = best[0].id


def test_text_begins_anew(device):
    first = [device.step(token, position) for position, token in enumerate((4, 40, 14))]
    device.step(50, 1)
    assert device.length == 2
    again = [device.step(token, position) for position, token in enumerate((4, 40, 14))]
    assert again == first


def test_negative_logits_are_read(program):
    """The image is the model with a head of negative gains."""
    norms = dict(MODEL.norms)
    gamma, fraction = norms["output_norm"]
    norms["output_norm"] = (-gamma, fraction)
    params = small_core(best=8)
    few = small_model(9, vocabulary=4)
    model = dataclasses.replace(few, norms=norms)
    device = TokenDevice(
        GoldenTransport(params), params, compile_program(model, params, name="small")
    )
    best = device.step(3, 0)
    assert best == best_of(golden_of(model, params).step(3), 8)
    assert best[3].logit < 0 and best[4:] == [(0, -(1 << 23))] * 4


@pytest.mark.parametrize(
    ("token", "position", "message"),
    [
        (-1, 0, "token ids must be 0..52, not -1"),
        (53, 0, "token ids must be 0..52, not 53"),
        (0, 1, "position must be 0..0, not 1"),
        (0, -1, "position must be 0..0, not -1"),
        (0, 41, "position 41 is beyond the context of 41 tokens"),
    ],
)
def test_tokens_that_cannot_be(device, token, position, message):
    with pytest.raises(UserError, match=message) as refused:
        device.step(token, position)
    assert "\n" not in str(refused.value) and device.length == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: 200}, r"instruction {n} \(MATVEC\): program \(code 7\)"),
        ({36: 0, 37: 0}, r"instruction {n} \(MATVEC\): inputs \(code 1\)"),
        ({40: 6}, r"instruction {n} \(MATVEC\): mode \(code 4\)"),
        ({51: 255}, r"instruction {n} \(MATVEC\): memory \(code 3\)"),
    ],
)
def test_a_stopped_program_names_its_instruction(device, program, change, message):
    opcodes = [instruction.opcode for instruction in program.instructions]
    number = opcodes.index(Opcode.MATVEC)
    address = program.address + number * INSTRUCTION_BYTES
    whole = device.transport.dump(address, INSTRUCTION_BYTES)
    for byte, value in change.items():
        device.transport.load(address + byte, np.array([value], np.uint8))
    with pytest.raises(DeviceError, match=message.replace("{n}", str(number))):
        device.step(0, 0)
    assert device.length == 0
    device.transport.load(address, whole)
    assert len(device.step(0, 0)) == PARAMS.best


def test_a_stopped_token_is_not_in_the_caches(device, program):
    """Nor is what was behind it: the driver goes on from the token before."""
    first = [device.step(token, position) for position, token in enumerate((4, 40, 14))]
    address = program.address + INSTRUCTION_BYTES * (len(program.instructions) - 1)
    device.transport.load(address, np.array([99], np.uint8))
    with pytest.raises(DeviceError):
        device.step(50, 1)
    device.transport.load(address, np.array([int(Opcode.END)], np.uint8))
    device.reset()
    assert device.length == 1
    assert [device.step(token, 1 + i) for i, token in enumerate((40, 14))] == first[1:]


def test_a_core_that_does_not_end(device, program, monkeypatch):
    """The message names the units that it waits for."""

    def wait(*_):
        raise TimeoutError

    read = type(device.transport).read
    units = REGISTERS["waiting"]
    now = {units.address: units.pack(loader=1, matrix=1), REGISTERS["instruction"].address: 10}
    monkeypatch.setattr(device.transport, "wait", wait)
    monkeypatch.setattr(
        device.transport, "read", lambda address: now.get(address, read(device.transport, address))
    )
    opcode = program.instructions[10].opcode.name
    with pytest.raises(
        DeviceError, match=rf"10 \({opcode}\) it waits for a LOAD, the matrix engine; reset"
    ):
        device.step(0, 0)
    with pytest.raises(DeviceError, match="does not become idle: it waits for a LOAD, the matrix"):
        device.reset()


def test_programs_without_an_end_are_stopped(device, program):
    end = program.address + (len(program.instructions) - 1) * INSTRUCTION_BYTES
    device.transport.load(end, np.array([99], np.uint8))
    count = len(program.instructions)
    with pytest.raises(DeviceError, match=rf"instruction {count - 1} \(END\): program"):
        device.step(0, 0)
    device.transport.load(end, np.array([int(Opcode.NORMALIZE), 0, 0, 0], np.uint8))
    device.transport.load(end + 12, np.array([4], np.uint8))
    with pytest.raises(DeviceError, match=r"instruction \d+ \(beyond the program\)"):
        device.transport.load(end + INSTRUCTION_BYTES, np.array([99], np.uint8))
        device.step(0, 0)


def test_another_core_is_refused(program):
    other = small_core(best=2)
    with pytest.raises(UserError, match="compiled for configuration .*compile the model for this"):
        TokenDevice(GoldenTransport(other), other, program)
    with pytest.raises(UserError, match="built for configuration .*--config"):
        TokenDevice(GoldenTransport(other), PARAMS, program)


def test_cores_without_vector_memory_do_not_run():
    params = CoreParams(CoreConfig(lanes=8))
    transport = GoldenTransport(params)
    control, status = REGISTERS["control"], REGISTERS["status"]
    transport.write(control.address, control.pack(run=1))
    assert transport.read(status.address) == 0
