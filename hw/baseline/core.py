"""A plain W4A8 engine: the core without events, every weight row read and multiplied.

Bus, registers, tile engine, lanes, scaler and output buffer are those of the core, narrower where
8-bit codes need less. The encoder only rounds to 8-bit codes, one scale for a block's largest
magnitude; external memory is read from end to end.
"""

from __future__ import annotations

from amaranth.hdl import Mux

from hw.baseline.encoder import DenseEncoder
from hw.baseline.fetch import DenseFetcher
from hw.core import Core
from hw.matrix_unit import MatrixUnit
from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.external import ExternalMemory


class DenseParams(CoreParams):
    """Parameters of a core whose codes are -127..127."""

    sum_width = 16
    code_sum_width = 13
    code_width = 8

    def __init__(self, config: CoreConfig):
        if config.batch != 1:
            raise ValueError(
                f"the plain engine has no batches; batch must be 1, not {config.batch}"
            )
        super().__init__(config)
        self.accumulator_width -= 1


class DenseMemory(ExternalMemory):
    """External memory without masks: what the fetcher does not ask of them is not built."""

    fetcher = DenseFetcher


class DenseMatrixUnit(MatrixUnit):
    """The matrix unit with a dense encoder and dense memory."""

    encoder = DenseEncoder
    external_memory = DenseMemory

    def _connect_check(self, m, controller, check):
        """Know one table, without silent level; no test mode."""
        super()._connect_check(m, controller, check)
        m.d.comb += [port.eq(0) for port in (check.codes, check.fixed, check.sums)]
        m.d.comb += [check.table.eq(TABLES["integer"].number), check.silent_level.eq(0)]

    def _connect_command(self, m, check, controller, encoder, engine, *others):
        super()._connect_command(m, check, controller, encoder, engine, *others)
        m.d.comb += engine.sums.eq(0)

    def _connect_external(self, m, synapse, *others):
        super()._connect_external(m, synapse, *others)
        m.d.sync += synapse.head_beats.eq(
            Mux(self.command.mode.format, W8.scale_beats, W4.scale_beats)
        )


class DenseCore(Core):
    """The core with a dense matrix unit; code table ``integer`` for the host."""

    matrix_unit = DenseMatrixUnit
