"""Errors, aborts and stray commands at random moments: no hang, and the next command is right."""

import pytest

from hw.spec.params import INTEGRATORS
from tests.rtl import interruptions

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("core", interruptions.CORES)
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("seed", range(400))
def test_interruptions(core, integrator, seed):
    interruptions.run(core, integrator, seed)
