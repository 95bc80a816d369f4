"""What `firstspike convert` does with an encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hw.spec.codes import DEFAULT_TABLE
from sw.convert.convert_encoder import convert_encoder, trained_quantizers
from sw.convert.defaults import site_of
from sw.convert.encoder import ConvertedEncoder
from sw.convert.encoder_quantizers import calibrated, record, silenced, with_thresholds
from sw.convert.four_bits import Loss, four_bit_weights
from sw.convert.hessians import HELD_OUT, encoder_hessians
from sw.errors import UserError
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import FloatEncoder
from sw.load.checkpoint import EncoderCheckpoint
from sw.load.fetch import polarity, resolve_text
from sw.train.polarity import LONGEST

#: Seed of the vectors that quantizers are fitted to.
_SEED = 0

#: Sentences that quantizers are fitted to.
_FITTED = 96


def convert_task_model(
    checkpoint: EncoderCheckpoint,
    *,
    table: str | None = None,
    thresholds: Mapping[str, int] | None = None,
    silence: float | None = None,
    text: str | None = None,
    tokens: int = 2048,
    four_bits: bool = True,
    compensate: bool | None = None,
) -> tuple[ConvertedEncoder, list[Loss]]:
    """Convert an encoder as it was trained, or fit it to sentences.

    Parameters
    ----------
    checkpoint : EncoderCheckpoint
        What a loader returned. If quantization was in the loop of its training, its quantizers are
        kept, and its weights are rounded as there unless ``compensate`` is true.
    table : str, optional
        Code table; that of the training, or the default.
    thresholds : mapping of str to int, optional
        Silence thresholds in 1/8 of the scale by site.
    silence : float, optional
        Share of elements that become silent, without training; needs a text.
    text : str, optional
        ``polarity`` (its training sentences) or a text, a sentence a line, to fit to. If absent,
        nothing is fitted, and 4-bit weights are chosen without it.
    tokens : int
        Tokens of it that are read.
    four_bits : bool
        False for matrices in 8 bits.
    compensate : bool, optional
        False for plain rounding of 4-bit weights.

    Returns
    -------
    model : ConvertedEncoder
        The encoder in integers.
    losses : list of Loss
        What 4-bit weights cost, if there is a text.
    """
    sentences = [] if text is None else _sentences(checkpoint, text, tokens)
    trained = "quantizers" in checkpoint.training
    if silence is not None and (trained or not sentences):
        raise UserError(
            "--silence SHARE needs sentences, such as --calibrate polarity, and an encoder that "
            "was not trained with quantization in the loop"
        )
    losses: list[Loss] = []
    source = checkpoint
    if four_bits:
        compensate = not trained if compensate is None else compensate
        parts = [s for i, s in enumerate(sentences) if i % HELD_OUT], sentences[::HELD_OUT]
        codes = None
        if trained:  # what matrices read is silent in part, and was so in training
            used = checkpoint.training.get("table", DEFAULT_TABLE)
            codes = FakeEncoderQuantizers(trained_quantizers(checkpoint), table=used)
        hessians, held_out = (
            encoder_hessians(checkpoint, part, quantizers=codes) if all(parts) and needed else None
            for part, needed in zip(parts, (compensate, True), strict=True)
        )
        source, losses = four_bit_weights(
            checkpoint, compensate=compensate, hessians=hessians, held_out=held_out
        )
    table = table or checkpoint.training.get("table", DEFAULT_TABLE)
    quantizers, how = trained_quantizers(checkpoint), "as trained" if trained else "as shipped"
    if sentences and not trained:
        few = sentences[:_FITTED]
        seen = record(FloatEncoder.from_checkpoint(checkpoint), few, seed=_SEED)
        quantizers, how = calibrated(checkpoint.config.layers, seen), f"fitted to {text}"
        if silence is not None:
            source, quantizers = silenced(
                source, quantizers, few, table=table, target=silence, seed=_SEED
            )
            how = f"{how}, {silence:.0%} silent"
    model = convert_encoder(source, table=table)
    wanted = {
        tensor: thresholds[site_of(tensor)]
        for tensor in quantizers
        if thresholds and site_of(tensor) in thresholds
    }
    quantizers = with_thresholds(quantizers, model.table, wanted)
    noted = {**model.source, "quantizers": how}
    return dataclasses.replace(model, quantizers=quantizers, source=noted), losses


def _sentences(checkpoint: EncoderCheckpoint, text: str, tokens: int) -> list[list[int]]:
    """Token ids of sentences, together at least as many as wanted if the text has them."""
    if text == "polarity":
        lines = [sentence.text for sentence in polarity("train")]
    else:
        lines = [line for line in resolve_text(text).splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{text} holds no sentences")
    longest = min(LONGEST, checkpoint.config.context)
    chosen: list[list[int]] = []
    for line in lines:
        if sum(map(len, chosen)) >= tokens:
            break
        chosen.append(checkpoint.tokenizer.encode(line)[:longest])
    return chosen
