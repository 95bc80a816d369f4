"""What a prompt costs, up to its first token."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from hw.spec.params import CoreParams
from sw.compile.program import DeviceProgram
from sw.convert.container import ConvertedModel
from sw.driver.decoder import batches
from sw.plan.bus import Timing
from sw.plan.sequencer import run_cost
from sw.plan.trace import Report, trace_tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptCost:
    """Cost of a prompt.

    Attributes
    ----------
    tokens, batch : int
        Its tokens, and how many are made at once as long as there are so many.
    cycles, octets : int
        Clock cycles, and bytes that are read.
    """

    tokens: int
    batch: int
    cycles: int
    octets: int


def prompt_cost(
    model: ConvertedModel,
    program: DeviceProgram,
    params: CoreParams,
    timing: Timing,
    tokens: Sequence[int],
    *,
    report: Report = lambda position: None,
) -> PromptCost:
    """Predict what a prompt costs.

    The first and the last batch are predicted, and so of the tokens behind: those between them cost
    their mean, as attention grows by as much with every token.

    Parameters
    ----------
    model, program, params, report
        As of :func:`sw.plan.trace.trace_tokens`.
    timing : Timing
        The core's memory.
    tokens : sequence of int
        Token ids.
    """
    appended = list(batches(tokens, program.batch))
    cycles, octets, start = 0.0, 0.0, 0
    for _, group in itertools.groupby(appended, len):
        alike = list(group)
        ends = sorted({0, len(alike) - 1})
        for number in ends:
            place = start + number * len(alike[0])
            before, now = tokens[:place], alike[number]
            for run in trace_tokens(model, program, params, before, now, report=report):
                cost = run_cost(run, params, timing)
                cycles += cost.cycles * len(alike) / len(ends)
                octets += cost.octets * len(alike) / len(ends)
        start += sum(map(len, alike))
    return PromptCost(
        tokens=len(tokens), batch=program.batch, cycles=round(cycles), octets=round(octets)
    )
