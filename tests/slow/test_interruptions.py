"""Errors, aborts and stray commands at random moments: no hang, and the next command is right."""

import pytest

from hw.spec.params import INTEGRATORS
from tests.rtl import interruptions

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("seed", range(1000))
def test_interruptions(integrator, seed):
    interruptions.run(integrator, seed)
