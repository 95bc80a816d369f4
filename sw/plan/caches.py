"""Caches of tokens before the one that is planned, from the golden model into device memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.golden.cache import Coded
from sw.golden.decoder import GoldenModel
from sw.golden.machine import Machine

#: Tokens that the golden model takes at once: weights are read once for all of them.
_BATCH = 32


def fill_caches(
    memory: np.ndarray,
    model: ConvertedModel,
    program: DeviceProgram,
    params: CoreParams,
    tokens: Sequence[int],
    *,
    report: Callable[[int], None],
) -> None:
    """Leave device memory as the program leaves it that was run for some tokens.

    The golden model computes what the program does, many tokens at once.

    Parameters
    ----------
    memory : ndarray
        Device memory, without tokens.
    model : ConvertedModel
        What the program was compiled from.
    program : DeviceProgram
        Its KEEPs, in the order of layers, say where keys and values lie.
    params : CoreParams
        The core.
    tokens : sequence of int
        Token ids, from position 0 on.
    report : callable
        Called with every position that is done.
    """
    if not tokens:
        return
    golden = GoldenModel(model, table=program.table)
    for start in range(0, len(tokens), _BATCH):
        batch = tokens[start : start + _BATCH]
        golden.prefill(batch)
        for position in range(start, start + len(batch)):
            report(position)
    machine = Machine(params, memory)
    keeps = [i for i in program.instructions if i.opcode == Opcode.KEEP]
    for keys in (0, 1):
        chosen = iter([i for i in keeps if i["keys"] == keys])
        for layer in golden.caches:
            heads = [Coded(*head) for head in zip(*layer[1 - keys].coded, strict=True)]
            # Those of a layer come in any order; where their words lie tells the heads'.
            places = sorted(itertools.islice(chosen, len(heads)), key=lambda i: i["a"])
            for instruction, coded in zip(places, heads, strict=True):
                _keep(machine, instruction, coded)


def _keep(machine: Machine, i: Instruction, coded: Coded) -> None:
    """Write what a KEEP does for each token; ``coded`` has tokens first."""
    codes = coded.codes.long().numpy() ^ 8
    scales = np.stack([coded.mantissa.numpy(), coded.exponent.numpy()], -1)
    groups = np.arange(-(-i["count"] // i["inner"])) * i["outer_stride"]
    for position, scale in enumerate(scales):
        machine.position = position
        machine.store(machine.elements(i, i["count"]), codes[position])
        if i["keys"]:
            machine.store(machine.moved(i["mantissas"], i, groups), scale[:1])
        machine.store(i["scales"] + 2 * position + np.arange(2), scale)
