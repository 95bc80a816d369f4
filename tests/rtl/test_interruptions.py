"""Errors, aborts and stray commands at random moments; ``tests/slow`` has many more seeds."""

import pytest

from hw.spec.params import INTEGRATORS
from tests.rtl import interruptions

pytestmark = pytest.mark.rtl


@pytest.mark.parametrize("core", interruptions.CORES)
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_interruptions(core, integrator, seed):
    interruptions.run(core, integrator, seed)
