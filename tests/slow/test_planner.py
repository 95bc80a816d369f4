"""Plans against the best single setting for all tensors, on a text that neither has seen."""

import numpy as np
import pytest
import torch

from sw.convert.convert import convert
from sw.convert.planner import Planner
from sw.convert.refine import refine_model
from sw.convert.sensitivity import observe
from sw.energy.activity import totals
from sw.energy.measure import golden_run
from sw.energy.technology import load_technology
from sw.load.fetch import resolve_text
from sw.opening import open_checkpoint

pytestmark = pytest.mark.slow

#: Model, window, tokens of the unseen text.
MODELS = [(None, 256, 16384), ("smollm2-135m", 512, 4096)]


@pytest.mark.parametrize("name, window, tokens", MODELS, ids=["bundled", "smollm2"])
def test_plans_beat_one_setting_at_equal_perplexity(name, window, tokens):
    checkpoint = open_checkpoint(name)
    encode = checkpoint.tokenizer.encode
    seen = torch.tensor(encode(resolve_text("novels/emma")[100000:140000])[:2048])
    unseen = torch.tensor(encode(resolve_text("novels/persuasion")[200000:300000])[:tokens])
    observations = observe(checkpoint, seen, window=window, vectors=128)
    model = refine_model(convert(checkpoint), checkpoint, observations.moments)
    planner = Planner(
        model,
        observations.tensors,
        table="companded",
        objective="bytes",
        technology=load_technology("22nm"),
        largest_integer=0.03,
    )
    matrices = None

    def measure(choice):
        nonlocal matrices
        planned = planner.apply(model, choice)
        run = golden_run(planned, unseen, window=window, matrices=matrices)
        matrices = run.matrices
        return (
            run.losses.mean().item(),
            sum(record.read_bits for record in run.activities.values() if record.kind == "weights"),
            totals(run.activities.values()),
        )

    single = sorted(measure(planner.choose_global(p))[:2] for p in (0.0, 0.1, 0.2, 0.4, 0.8, 1.6))
    losses, reads = (np.array(part) for part in zip(*single, strict=True))
    saved = []
    for price in (0.1, 0.2, 0.4):
        loss, read, total = measure(planner.choose(price))
        assert total.integers / total.elements <= 0.035
        # At this loss the single setting reads, between its own measured points:
        wanted = np.interp(loss, losses, np.minimum.accumulate(reads))
        print(f"{name}: loss {loss:.4f}, {read / wanted - 1:+.2%} bytes against one setting")
        saved.append(read / wanted)
    assert np.mean(saved) < 1
