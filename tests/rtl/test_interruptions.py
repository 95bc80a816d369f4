"""Errors, aborts and stray commands at random moments; ``tests/slow`` has many more seeds."""

import pytest

from hw.spec.params import INTEGRATORS
from tests.rtl import interruptions

pytestmark = pytest.mark.rtl

#: Some that the slow tier has not, and of it those that have found a fault: row sums late behind a
#: reset, and registers that were written while an instruction ran.
SEEDS = [*range(1000, 1010), 47, 178]


@pytest.mark.parametrize("core", interruptions.CORES)
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_interruptions(core, integrator, seed):
    interruptions.run(core, integrator, seed)
