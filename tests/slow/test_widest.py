"""The widest cores elaborate."""

import pytest

from hw.build import generate
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("memory", ["onchip", "axi"])
def test_256_lanes(integrator, memory):
    config = CoreConfig(lanes=256, integrator=integrator, memory=memory)
    text, manifest = generate(CoreParams(config))
    assert manifest["configuration"]["lanes"] == 256
    assert "module firstspike(" in text
