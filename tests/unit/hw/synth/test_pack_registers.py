"""Registers that move into blocks: the netlist before and after gives the same, cycle by cycle."""

import copy
import json
import random

import pytest

from hw.synth.pack_registers import pack, pack_file

OUTPUTS = ("Q", "Z", "P", "DO")
BITS = 4
DEPTH = 16


def cell(kind, parameters=(), **pins):
    connections = {}
    for pin, bits in pins.items():
        if isinstance(bits, list):
            connections |= {f"{pin}{i}": [bit] for i, bit in enumerate(bits)}
        else:
            connections[pin] = [bits]
    directions = {
        pin: "output" if pin.rstrip("0123456789AB") in OUTPUTS else "input" for pin in connections
    }
    return {
        "type": kind,
        "parameters": dict(parameters),
        "connections": connections,
        "port_directions": directions,
    }


def register(d, q, *, reset="0", enable="1", **changes):
    parameters = {"CLKMUX": "CLK", "CEMUX": "CE", "LSRMUX": "LSR", "SRMODE": "LSR_OVER_CE"}
    parameters |= {"REGSET": "RESET"} | changes
    return cell("TRELLIS_FF", parameters, CLK=1, DI=d, Q=q, LSR=reset, CE=enable)


def registers(name, inputs, outputs, **options):
    pairs = zip(inputs, outputs, strict=True)
    return {f"{name}_{i}": register(d, q, **options) for i, (d, q) in enumerate(pairs)}


def bits(first, count=BITS):
    return list(range(first, first + count))


def multiplier(a, b, product):
    return {"product": cell("MULT18X18D", A=a, B=b, P=product)}


def memory(address, data):
    parameters = {"DATA_WIDTH_A": "00100", "DATA_WIDTH_B": "00100", "CLKBMUX": "CLKB"}
    parameters |= {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"}
    pins = {"CLKB": 1, "CEB": "1", "RSTB": "0", "OCEB": "1"}
    return {"words": cell("DP16KD", parameters, ADB=address, DOB=data, **pins)}


def module(cells, outputs):
    ports = {"clk": {"direction": "input", "bits": [1]}}
    ports["out"] = {"direction": "output", "bits": outputs}
    return {"ports": ports, "cells": cells}


#: Bits 10.. and 20.. are inputs of the module, 2 its reset, 3 an enable.
A, B, RESET, ENABLE = bits(10), bits(20), 2, 3
FACTORS = {**registers("a", A, bits(30)), **registers("b", B, bits(40))}
PRODUCT = bits(50, 2 * BITS)
KEPT = registers("kept", PRODUCT, bits(60, 2 * BITS))


def simulate(module, cycles):
    """Run a netlist; every word of the memory is its address times 7."""
    draw, cells = random.Random(cycles), module["cells"]
    values, states, outputs = {"0": 0, "1": 1, "x": 0}, {}, []

    def get(cell, pins):
        found = [cell["connections"].get(f"{pins}{i}", ["0"])[0] for i in range(2 * BITS)]
        return sum(values.get(bit, 0) << i for i, bit in enumerate(found))

    def put(cell, pins, number):
        for pin, (bit,) in cell["connections"].items():
            if pin.startswith(pins):
                values[bit] = number >> int(pin[len(pins) :]) & 1

    for _ in range(cycles):
        for bit in (*A, *B, RESET, ENABLE):
            values[bit] = draw.random() < (0.1 if bit == RESET else 0.5)
        for _ in range(4):  # as long as anything may change
            for name, one in cells.items():
                state = states.get(name, {})
                if one["type"] == "TRELLIS_FF":
                    values[one["connections"]["Q"][0]] = state.get("q", 0)
                elif one["type"] == "LUT4":
                    index = sum(values[one["connections"][p][0]] << i for i, p in enumerate("ABCD"))
                    truth = one["parameters"]["INIT"]
                    values[one["connections"]["Z"][0]] = int(truth[~index])
                elif one["type"] == "MULT18X18D":
                    put(one, "P", state.get("p", 0) if "p" in state else product(one, state, get))
                else:
                    put(one, "DOB", state.get("out", 0))
        following = {}
        for name, one in cells.items():
            pins, parameters = one["connections"], one["parameters"]
            state = states.get(name, {})
            if one["type"] == "TRELLIS_FF":
                q = values[pins["DI"][0]] if values[pins["CE"][0]] else state.get("q", 0)
                following[name] = {"q": 0 if values[pins["LSR"][0]] else q}
            elif one["type"] == "MULT18X18D":
                after = {}
                if "REG_OUTPUT_CLK" in parameters:
                    after["p"] = product(one, state, get)
                if "REG_INPUTA_CLK" in parameters:
                    after |= {"a": get(one, "A"), "b": get(one, "B")}
                following[name] = after
            elif one["type"] == "DP16KD":
                read = 7 * get(one, "ADB") % DEPTH
                registered = parameters["REGMODE_B"] == "OUTREG"
                following[name] = {
                    "read": read,
                    "out": state.get("read", 0) if registered else read,
                }
        outputs.append([values.get(bit, 0) for bit in module["ports"]["out"]["bits"]])
        states = following
    return outputs


def product(one, state, get):
    if "REG_INPUTA_CLK" in one["parameters"]:
        return state.get("a", 0) * state.get("b", 0)
    return get(one, "A") * get(one, "B")


def check(before, **moved):
    after = copy.deepcopy(before)
    assert pack(after) == moved
    assert simulate(after, 200) == simulate(before, 200)
    return after


def test_both_sides_of_a_multiplier():
    cells = {**FACTORS, **multiplier(bits(30), bits(40), PRODUCT), **KEPT}
    after = check(module(cells, bits(60, 2 * BITS)), inputs=1, outputs=1, reads=0, registers=16)
    assert set(after["cells"]) == {"product"}


def test_reset_becomes_a_gate_and_a_shared_register_stays():
    """Zeros above a factor do not matter; two multipliers share the gates of theirs."""
    cells = {**registers("a", A, bits(30), reset=RESET), **registers("b", B, bits(40))}
    for name, first in (("one", 50), ("other", 70)):
        cells[name] = multiplier([*bits(30), "0"], bits(40), bits(first, 8))["product"]
    outputs = [*bits(50, 8), *bits(70, 8), 31]
    after = check(module(cells, outputs), inputs=2, outputs=0, reads=0, registers=7)
    kinds = [one["type"] for one in after["cells"].values()]
    assert kinds.count("LUT4") == BITS
    assert kinds.count("TRELLIS_FF") == 1  # its bit 31 leaves the module


@pytest.mark.parametrize(
    ("change", "outputs"),
    [
        ({"enable": ENABLE}, 1),
        ({"REGSET": "SET"}, 1),
        ({"CLKMUX": "INV"}, 1),
        ({"reset": RESET, "SRMODE": "ASYNC"}, 1),
    ],
)
def test_other_registers_stay_before_a_multiplier(change, outputs):
    cells = {**registers("a", A, bits(30), **change), **registers("b", B, bits(40))}
    cells |= {**multiplier(bits(30), bits(40), PRODUCT), **KEPT}
    before = module(cells, bits(60, 2 * BITS))
    assert pack(before) == {"inputs": 0, "outputs": outputs, "reads": 0, "registers": 8}


@pytest.mark.parametrize("change", [{"enable": ENABLE}, {"reset": RESET}])
def test_other_registers_stay_behind_a_multiplier(change):
    cells = {**FACTORS, **multiplier(bits(30), bits(40), PRODUCT)}
    cells |= registers("kept", PRODUCT, bits(60, 2 * BITS), **change)
    check(module(cells, bits(60, 2 * BITS)), inputs=1, outputs=0, reads=0, registers=8)


def test_product_that_is_used_at_once_has_no_register():
    cells = {**FACTORS, **multiplier(bits(30), bits(40), PRODUCT), **KEPT}
    outputs = [*bits(60, 2 * BITS), 50]
    check(module(cells, outputs), inputs=1, outputs=0, reads=0, registers=8)


def test_constant_one_before_a_multiplier():
    """A register would hold 0 in the first cycle."""
    cells = {**FACTORS, **multiplier([*bits(30), "1"], bits(40), PRODUCT)}
    check(module(cells, PRODUCT), inputs=0, outputs=0, reads=0, registers=0)


def test_read_of_a_memory():
    cells = {**memory(A, bits(30)), **registers("word", bits(30), bits(40))}
    after = check(module(cells, bits(40)), inputs=0, outputs=0, reads=1, registers=4)
    assert set(after["cells"]) == {"words"}


@pytest.mark.parametrize("change", [{"reset": RESET}, {"enable": ENABLE}])
def test_read_into_other_registers(change):
    cells = {**memory(A, bits(30)), **registers("word", bits(30), bits(40), **change)}
    check(module(cells, bits(40)), inputs=0, outputs=0, reads=0, registers=0)


def test_read_of_wide_memory_stays():
    cells = {**memory(A, bits(30)), **registers("word", bits(30), bits(40))}
    cells["words"]["parameters"]["DATA_WIDTH_A"] = "100100"
    check(module(cells, bits(40)), inputs=0, outputs=0, reads=0, registers=0)


@pytest.mark.parametrize("registered", [False, True])
def test_register_between_a_memory_and_a_multiplier(registered):
    """It stays where the memory is slow: it would join both delays, and what lies between."""
    cells = memory(A, bits(30))
    words = bits(30)
    if registered:
        words = bits(80)
        cells |= registers("word", bits(30), words)
    gates = {f"gate_{i}": gate(bit, 90 + i) for i, bit in enumerate(words)}
    cells |= {**gates, **registers("a", bits(90), bits(70)), **registers("b", B, bits(40))}
    cells |= multiplier(bits(70), bits(40), PRODUCT)
    moved = {"inputs": 1, "reads": 1, "registers": 12} if registered else {"registers": 0}
    check(module(cells, PRODUCT), **{"inputs": 0, "outputs": 0, "reads": 0} | moved)


def gate(bit, out):
    return cell("LUT4", {"INIT": "0101" * 4}, A=bit, B="0", C="0", D="0", Z=out)


def test_file(tmp_path):
    before = module({**FACTORS, **multiplier(bits(30), bits(40), PRODUCT)}, PRODUCT)
    path = tmp_path / "top.json"
    path.write_text(json.dumps({"creator": "test", "modules": {"top": before}}))
    assert pack_file(path, "top")["inputs"] == 1
    found = json.loads(path.read_text())
    assert found["creator"] == "test"
    assert pack(before)["inputs"] == 1
    assert found["modules"]["top"] == before
