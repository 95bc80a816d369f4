"""Cores with crossbars: random products, element by element, and what the counters say."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import BLOCK, TABLES
from hw.spec.crossbar import PRESETS, Crossbar
from hw.spec.cycles import instruction_cycles, integrate_cycles
from hw.spec.encoder_cycles import stored_cycles
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import DeviceImage, needs_sums, pack_matrix
from sw.convert.container import Quantizer
from sw.convert.regroup import regroup_matrix
from sw.driver.device import Device
from sw.golden.codes import encode
from sw.golden.counters import lane_cycles
from sw.golden.crossbar_linear import CrossbarMatrix
from sw.golden.matrix import Matrix
from sw.golden.sums import windows
from sw.opening import open_transport
from tests.unit.golden.models import random_matrix

pytestmark = pytest.mark.rtl


def check_products(crossbar: Crossbar, *, lanes: int, products: int) -> int:
    """Multiply random tiles by random vectors; return how many products are not the digital.

    All code tables and, where cells hold every nibble, both weight formats take turns.
    """
    config = CoreConfig(lanes=lanes, memory_beats=2048, max_inputs=320, max_outputs=8)
    params = CoreParams(config.replace(integrator="spike", crossbar=crossbar))
    rng, transport = np.random.default_rng(4), open_transport(params)
    tables, holds = [t for t in TABLES.values() if t.linear], crossbar.cells.holds(-8)
    most = 97 if crossbar.rows == BLOCK else 321
    formats = (W4, W8) if lanes % 2 == 0 and holds else (W4,)
    device, differs = Device(transport, params), 0
    try:
        for number in range(products):
            table = tables[number // len(formats) % len(tables)]
            layout = formats[number % len(formats)]
            rows = layout.outputs(lanes) * int(rng.integers(1, 4))
            matrix = random_matrix(rng, rows, int(rng.integers(1, most)), layout)
            if crossbar.rows > BLOCK:
                matrix = regroup_matrix(matrix, crossbar.rows)
            if not holds:
                matrix = dataclasses.replace(matrix, codes=matrix.codes.clip(-7, 7))
            silent = int(rng.integers(16)) if table.masked else table.silent_level
            sums = needs_sums(table.name, silent)
            image = DeviceImage(
                name="tile",
                source={},
                configuration=f"{params.hash:016x}",
                table="companded",
                matrices={"tile": pack_matrix(matrix, lanes, sums=sums)},
            )
            device.load(image)
            x = rng.integers(-32767, 32768, matrix.inputs) >> rng.integers(0, 12, matrix.inputs)
            quantizer = Quantizer(constant=367, threshold=4, silent_level=silent)
            result = device.matvec("tile", x, quantizer=quantizer, table=table.name)
            encoded = encode(
                torch.from_numpy(x),
                table=table,
                constant=367,
                silent_level=silent,
                shared=params.shared,
            )
            placed = CrossbarMatrix(Matrix(matrix), crossbar, number=0, lanes=lanes)
            (expected,), activity = placed.matvec(encoded.unsqueezed())
            assert result.accumulators.tolist() == expected.tolist(), number
            tiles = layout.tiles(rows, lanes)
            counted = [result.counters[n] for n in ("array_steps", "conversions", "lines_raised")]
            each = (activity.steps, activity.readings * lanes, activity.lines)
            assert counted == [tiles * count for count in each]
            items = lane_cycles(encoded, "spike").tolist()
            shown = [(part != 0).sum(-1).tolist() for part in windows(encoded)]
            stored = stored_cycles(
                matrix.inputs, list(zip(*shown, strict=True)), shared=params.shared
            )
            instruction = params, layout, tiles, items
            stalls = integrate_cycles(*instruction, sums=sums, stored=stored)
            assert result.counters["stall_scaler"] == stalls.stall_scaler
            assert result.counters["stall_encoder"] == stalls.stall_encoder
            cycles = instruction_cycles(*instruction, stored, sums=sums)
            assert result.counters["cycles"] == cycles
            differs += expected.tolist() != Matrix(matrix).matvec(encoded).tolist()
    finally:
        transport.close()
    return differs


def test_products():
    crossbar = PRESETS["ye2023"].replace(clip=True, seed=3)
    assert check_products(crossbar, lanes=1, products=40) > 20


def test_arrays_of_several_blocks():
    """Eight blocks, of one scale, add up in a column; the last array of a vector has fewer."""
    crossbar = PRESETS["matterhorn"].replace(rows=256, seed=5)
    assert check_products(crossbar, lanes=1, products=24) > 12
