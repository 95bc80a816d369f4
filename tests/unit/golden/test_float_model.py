"""The float model against formulas written out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sw.golden.float_model import FloatLlama, Quantizers, rotate
from sw.golden.perplexity import perplexity
from sw.load.checkpoint import Checkpoint, LlamaConfig

CONFIG = LlamaConfig(
    layers=2,
    width=12,
    ffn_width=20,
    heads=3,
    kv_heads=1,
    head_width=4,
    vocabulary=17,
    context=9,
    rope_theta=100.0,
    rope_interleaved=True,
    norm_epsilon=1e-5,
    tied_head=True,
)


def make_model(**changes: object) -> FloatLlama:
    config = dataclasses.replace(CONFIG, **changes)
    return FloatLlama(config, generator=torch.Generator().manual_seed(3))


def naive_logits(model: FloatLlama, tokens: list[int]) -> np.ndarray:
    """Logits of the last token, one head and one position at a time, in float64."""
    c = model.config
    w = {name: p.detach().double().numpy() for name, p in model.named_parameters()}

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return x / math.sqrt((x * x).mean() + c.norm_epsilon) * gain

    def turn(x: np.ndarray, position: int) -> np.ndarray:
        x, half = x.copy(), c.head_width // 2
        for i in range(half):
            a, b = (2 * i, 2 * i + 1) if c.rope_interleaved else (i, i + half)
            angle = position * c.rope_theta ** (-2 * i / c.head_width)
            z = (x[a] + 1j * x[b]) * complex(math.cos(angle), math.sin(angle))
            x[a], x[b] = z.real, z.imag
        return x

    stream = [w["token_embd.weight"][t] for t in tokens]
    for n in range(c.layers):
        layer = {
            key[len(f"blk.{n}.") : -7]: value
            for key, value in w.items()
            if key.startswith(f"blk.{n}.")
        }
        normed = [norm(x, layer["attn_norm"]) for x in stream]
        keys = [(layer["attn_k"] @ x).reshape(-1, c.head_width) for x in normed]
        values = [(layer["attn_v"] @ x).reshape(-1, c.head_width) for x in normed]
        for t, x in enumerate(normed):
            queries = (layer["attn_q"] @ x).reshape(-1, c.head_width)
            mixed = []
            for h, q in enumerate(queries):
                g = h * c.kv_heads // c.heads
                s = [
                    turn(q, t) @ turn(keys[u][g], u) / math.sqrt(c.head_width) for u in range(t + 1)
                ]
                p = np.exp(s) / np.exp(s).sum()
                mixed.append(sum(p[u] * values[u][g] for u in range(t + 1)))
            stream[t] = stream[t] + layer["attn_output"] @ np.concatenate(mixed)
            y = norm(stream[t], layer["ffn_norm"])
            gate = layer["ffn_gate"] @ y
            hidden = gate / (1 + np.exp(-gate)) * (layer["ffn_up"] @ y)
            stream[t] = stream[t] + layer["ffn_down"] @ hidden
    head = w["token_embd.weight"] if c.tied_head else w["output.weight"]
    return head @ norm(stream[-1], w["output_norm.weight"])


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize(("heads", "kv_heads", "tied"), [(3, 1, True), (6, 2, False)])
def test_logits_equal_the_formulas(
    interleaved: bool, heads: int, kv_heads: int, tied: bool
) -> None:
    model = make_model(rope_interleaved=interleaved, heads=heads, kv_heads=kv_heads, tied_head=tied)
    tokens = [3, 16, 0, 7, 7]
    got = model(torch.tensor([tokens, tokens[::-1]]))[0, -1].detach().numpy()
    np.testing.assert_allclose(got, naive_logits(model, tokens), rtol=2e-5, atol=2e-5)


def test_rotate_turns_the_named_pairs() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    cosine, sine = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    assert rotate(x, cosine, sine, True).tolist() == [[0.0, 1.0, 0.0, 1.0]]
    assert rotate(x, cosine, sine, False).tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_later_tokens_do_not_change_earlier_logits() -> None:
    model = make_model()
    short = model(torch.tensor([[1, 2, 3]]))
    long = model(torch.tensor([[1, 2, 3, 4, 5]]))
    torch.testing.assert_close(long[:, :3], short)


def test_checkpoint_and_model_agree() -> None:
    model = make_model(tied_head=False)
    tensors = {name: p.detach().numpy() for name, p in model.named_parameters()}
    checkpoint = Checkpoint(
        name="odd",
        config=model.config,
        tensors=tensors,
        tokenizer=None,
        tokenizer_spec={},
        sha256="",
    )
    tokens = torch.tensor([[5, 4, 3]])
    assert torch.equal(FloatLlama.from_checkpoint(checkpoint)(tokens), model(tokens))


def test_every_site_and_weight_passes_the_quantizers() -> None:
    seen = []

    class Recorder(Quantizers):
        def linear_input(self, x: torch.Tensor, site: str) -> torch.Tensor:
            seen.append(site)
            return x

        def weight(self, w: torch.Tensor, name: str) -> torch.Tensor:
            seen.append(name)
            return w

    model = make_model(layers=1, tied_head=False)
    model.quantizers = Recorder()
    model(torch.tensor([[1, 2]]))
    matrices = {name for name, p in model.named_parameters() if p.dim() == 2}
    assert set(seen) == matrices | {"attn_q", "attn_output", "ffn_gate", "ffn_down", "head"}


def test_perplexity_of_a_hand_computed_model() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.5, 0.25, 0.25]).log().expand(*tokens.shape, 3)

    # Windows (0, 0, 1) and (2, 2, 0) predict 0, 1 and 2, 0; the last token is a dropped rest.
    got = perplexity(Fixed(), torch.tensor([0, 0, 1, 2, 2, 0, 1]), window=3)
    assert got.predictions == 4
    assert got.perplexity == pytest.approx(2**1.5)
    assert got.nll == pytest.approx(1.5 * math.log(2))
    assert got.nll_stderr == pytest.approx(math.log(2) * math.sqrt(1 / 3) / 2)


def test_messages() -> None:
    with pytest.raises(ValueError, match="at most 9 tokens .* got 10: shorten"):
        make_model()(torch.zeros(1, 10, dtype=torch.int64))
    with pytest.raises(ValueError, match="got a window of 5 and 4 tokens"):
        perplexity(make_model(), torch.arange(4), window=5)
