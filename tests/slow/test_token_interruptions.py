"""Tokens disturbed at 10,000 random moments: no hang, and the next token is right."""

import pytest

from tests.rtl import token_interruptions
from tests.rtl.token_rig import CORES

pytestmark = pytest.mark.slow

TRIALS, CHUNK = 5000, 250


@pytest.mark.parametrize("first", range(0, TRIALS, CHUNK))
@pytest.mark.parametrize("core", CORES)
def test_token_interruptions(core, first):
    for seed in range(first, first + CHUNK):
        try:
            token_interruptions.run(core, seed)
        except Exception as error:
            error.add_note(f"{core}, seed {seed}")
            raise
