"""One thread, the same examples every time, and a random model."""

import pytest
import torch
from hypothesis import settings

from sw.convert.container import ConvertedModel
from tests.unit.golden.models import TINY, random_model

torch.set_num_threads(1)
settings.register_profile("firstspike", deadline=None, derandomize=True)
settings.load_profile("firstspike")


@pytest.fixture
def tiny_model() -> ConvertedModel:
    """Two layers, three query heads to a key head, partial blocks everywhere."""
    return random_model(TINY, seed=5)
