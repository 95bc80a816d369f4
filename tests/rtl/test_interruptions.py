"""Errors, aborts and stray commands at random moments; ``tests/slow`` has many more seeds."""

import pytest

from hw.spec.params import INTEGRATORS
from tests.rtl import interruptions

pytestmark = pytest.mark.rtl


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_interruptions(integrator, seed):
    interruptions.run(integrator, seed)
