"""What counts as a difference between a device's tokens and the golden model's."""

import pytest
import torch

from sw.compile.program import compile_program
from sw.driver.decoder import TokenDecoder
from sw.driver.golden_transport import GoldenTransport
from sw.driver.token import TokenDevice
from sw.verify_token import ComparingDecoder, TokenMismatchError
from tests.unit.compile.programs import golden_of, small_core, small_model

torch.set_num_threads(1)

MODEL = small_model(5)
PARAMS = small_core()


class Changed(TokenDevice):
    """A device whose largest logits are changed on their way."""

    change = staticmethod(lambda best: best)

    def step(self, token, position):
        return self.change(super().step(token, position))


@pytest.fixture
def decoder():
    program = compile_program(MODEL, PARAMS, name="small")
    device = Changed(GoldenTransport(PARAMS), PARAMS, program)
    return ComparingDecoder(golden_of(MODEL, PARAMS), TokenDecoder(device))


def test_equal_tokens(decoder):
    for token in (4, 40, 14):
        decoder.step(token)
    assert decoder.tokens == [4, 40, 14]
    assert decoder.compared == 3 * (PARAMS.best + 7)


@pytest.mark.parametrize(
    ("change", "quantity"),
    [
        (lambda best: [best[1], best[0], *best[2:]], "id of logit number 0"),
        (lambda best: [*best[:-1], best[-1]._replace(logit=best[-1].logit - 1)], "logit of"),
        (lambda best: [*best[:-1], best[-1]._replace(id=best[0].id)], "id of logit number 3"),
    ],
)
def test_order_ids_and_logits_count(decoder, change, quantity):
    decoder.step(4)
    decoder.decoder.device.change = change
    with pytest.raises(TokenMismatchError, match=f"first at token 1: {quantity}") as caught:
        decoder.step(40)
    assert caught.value.difference.place is None


def test_counters_count(decoder):
    decoder.decoder.device.change = lambda best: (
        decoder.decoder.device.counters.update(spikes=1) or best
    )
    with pytest.raises(TokenMismatchError, match="first at token 0: spikes expected"):
        decoder.step(4)
