"""Layers that take turns in two buffers, on a core made of software that takes time."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch

from hw.spec.program import INSTRUCTION_BYTES, Opcode
from hw.spec.registers import COUNTERS, REGISTERS
from sw.compile.program import compile_program
from sw.compile.stream import compile_stream
from sw.driver.golden_transport import GoldenTransport
from sw.driver.result import DeviceError
from sw.driver.stream import StreamDevice
from sw.driver.token import TokenDevice
from sw.errors import UserError
from tests.unit.compile.programs import best_of, golden_of, small_core, small_model

torch.set_num_threads(1)

#: Clock cycles of every program.
PROGRAM_CYCLES = 1000
ADDRESSES = {name: REGISTERS[name].address for name in ("control", "status", "token_cycles")}


class TimedTransport(GoldenTransport):
    """Every program takes as long, and the bytes of its layer must not change meanwhile."""

    def __init__(self, params, buffers):
        super().__init__(params)
        self.now, self.end, self.buffers = 0, 0, buffers
        self.running = None
        self.loads = []

    @property
    def cycles(self):
        return self.now

    def tick(self, count):
        self.now += count

    def _command(self, **fields):
        super()._command(**fields)
        self.end = self.now + PROGRAM_CYCLES
        program = self._registers["program"]
        self.running = None if program < self.buffers[0] else int(program >= self.buffers[1])

    def read(self, address):
        if address == ADDRESSES["token_cycles"]:
            return PROGRAM_CYCLES
        busy = self.now < self.end
        if address == ADDRESSES["status"] and busy:
            return REGISTERS["status"].pack(busy=1)
        return super().read(address)

    def wait(self, address, mask, value, max_cycles):
        self.now = max(self.now, self.end)
        super().wait(address, mask, value, max_cycles)

    def load(self, address, octets):
        super().load(address, octets)
        if address >= self.buffers[0]:
            buffer = int(address >= self.buffers[1])
            assert self.now >= self.end or buffer != self.running
            self.loads.append((self.now, buffer, len(octets)))


def streaming(model, params, *, link=1e9, table=None):
    program = compile_stream(model, params, name="small", table=table)
    return StreamDevice(TimedTransport(params, program.buffers), params, program, link=link)


def layer_bytes(device):
    return [len(layer.octets(0)) for layer in device.program.layers]


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("link", [0.7, 4, 1e6])
def test_tokens_and_counters(layers, link):
    model, params = small_model(11, layers=layers), small_core()
    device, golden = streaming(model, params, link=link), golden_of(model, params)
    token = 1
    for position in range(4):
        golden.golden.reset()
        expected = best_of(golden.step(token), params.best)
        best = device.step(token, position)
        assert best == expected
        counted = {n: golden.counters[n] for n in COUNTERS if golden.counters[n] is not None}
        assert {name: device.counters[name] for name in counted} == counted
        assert device.cycles == (layers + 2) * PROGRAM_CYCLES
        token = best[0].id
    # Two layers stay where they are; of more, each is needed again and again.
    assert layers > 2 or device.counts.loaded_layers == 2
    assert layers < 3 or 4 * layers <= device.counts.loaded_layers <= 4 * layers + 2


def test_instructions_are_those_of_the_whole_program():
    model, params = small_model(12, tied_head=False), small_core()
    streamed = compile_stream(model, params, name="x")
    whole = compile_program(model, params, name="x")
    opcodes = [[i.opcode for i in program.instructions] for program in (streamed, whole)]
    assert Counter(opcodes[0]) - Counter(opcodes[1]) == {Opcode.END: 3}
    # The whole program loads for a layer while the one before is computed.
    done = [[o for o in each if o not in (Opcode.LOAD, Opcode.END)] for each in opcodes]
    assert done[0] == done[1]
    assert len(streamed.image) + 2 * max(len(x.octets(0)) for x in streamed.layers) <= (
        2 * streamed.buffers[1] - streamed.buffers[0]
    )
    for layer in streamed.layers:
        count = len(layer.instructions) * INSTRUCTION_BYTES
        assert [len(program) for program in layer.programs] == [count, count]
        assert (layer.programs[0] != layer.programs[1]).any()


def test_a_fast_link_is_hidden_and_a_slow_one_is_not():
    model, params = small_model(13, layers=5), small_core()
    tokens = [5, 52, 0]
    shares = []
    size = layer_bytes(streaming(model, params))[0]
    for share in (0.5, 2, 10):  # of the time of a layer that loading takes
        link = size / (share * PROGRAM_CYCLES)
        device = streaming(model, params, link=link)
        for position, token in enumerate(tokens):
            device.step(token, position)
        counts = device.counts
        assert counts.compute_cycles == 3 * 7 * PROGRAM_CYCLES
        assert abs(counts.load_cycles / 1000 - counts.loaded_layers * share) <= share
        assert counts.overlap_cycles <= min(counts.load_cycles, counts.compute_cycles)
        # Either the core computes, or bytes come, or the driver waits for the end of a piece.
        spent = counts.load_cycles + counts.compute_cycles - counts.overlap_cycles
        assert abs(spent - counts.total_cycles) < 22 * 256
        shares.append(counts.overlap)
    assert shares[0] == 1.0 and 0.4 < shares[1] < 0.75 and shares[2] < 0.15


def test_text_begins_anew():
    device = streaming(small_model(14), small_core(), link=3)
    first = [device.step(token, position) for position, token in enumerate((4, 40, 14))]
    device.step(50, 1)
    assert [device.step(t, position) for position, t in enumerate((4, 40, 14))] == first
    device.load()
    assert device.counts.load_cycles == 0
    assert [device.step(t, position) for position, t in enumerate((4, 40, 14))] == first


def test_a_core_that_has_stopped_makes_the_next_token():
    model, params = small_model(15, layers=3), small_core()
    device, same = streaming(model, params), streaming(model, params)
    layer = device.program.layers[1]
    address = device.program.buffers[1] + len(layer.weights)
    broken = layer.programs[1].copy()
    broken[0] = 99
    layers = list(device.program.layers)
    layers[1] = dataclasses.replace(layer, programs=(layer.programs[0], broken))
    whole, device.program = (
        device.program,
        dataclasses.replace(device.program, layers=tuple(layers)),
    )
    with pytest.raises(DeviceError, match=r"stopped at instruction 0 \(LOAD\): program"):
        device.step(1, 0)
    assert device.length == 0
    device.program = whole
    device.transport.load(address, layer.programs[1])
    assert [device.step(t, i) for i, t in enumerate((1, 2))] == [
        same.step(t, i) for i, t in enumerate((1, 2))
    ]


def test_memory_for_two_layers_only():
    model = small_model(16, layers=7)
    with pytest.raises(UserError, match="stream the layers") as refused:
        compile_program(model, small_core(memory_beats=4096), name="x")
    whole = int(str(refused.value).split("memory_beats of ")[1].split()[0])
    with pytest.raises(UserError, match="^two layers, caches for 41 tokens .* has 4096") as refused:
        compile_stream(model, small_core(memory_beats=4096), name="x")
    assert "\n" not in str(refused.value) and "stream" not in str(refused.value)
    needed = int(str(refused.value).split("memory_beats of ")[1].split()[0])
    params = small_core(memory_beats=needed)
    layer = layer_bytes(streaming(model, params))[0]
    assert needed <= whole - 4 * layer // (params.beat_bits // 8)
    with pytest.raises(UserError, match=f"{needed} or more"):
        compile_stream(model, small_core(memory_beats=needed - 1), name="x")
    golden = golden_of(model, params)
    assert streaming(model, params).step(3, 0) == best_of(golden.step(3), params.best)


@pytest.mark.parametrize("link", [0, -1, 0.003, float("nan"), float("inf")])
def test_links_that_carry_nothing_are_refused(link):
    program = compile_stream(small_model(1), small_core(), name="small")
    with pytest.raises(UserError, match="a link must carry 1/256 to 4294967296 bytes") as refused:
        StreamDevice(GoldenTransport(small_core()), small_core(), program, link=link)
    assert "\n" not in str(refused.value)


def test_other_refusals_are_those_of_whole_programs():
    params = small_core()
    program = compile_stream(small_model(1), params, name="small")
    other = small_core(best=2)
    with pytest.raises(UserError, match="compiled for configuration .*compile the model for this"):
        StreamDevice(GoldenTransport(other), other, program, link=4)
    with pytest.raises(UserError, match="memory_beats|vector_words"):
        compile_stream(small_model(1), small_core(vector_words=256), name="x")
    device = StreamDevice(GoldenTransport(params), params, program, link=4)
    with pytest.raises(UserError, match="token ids must be 0..52, not 53"):
        device.step(53, 0)
    assert isinstance(device, TokenDevice) and np.isclose(device.counts.overlap, 1.0)
