"""Sentences on a core that runs encoders: ids go in, words come out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hw.spec.params import CoreParams
from hw.spec.registers import COUNTERS
from sw.compile.encoder_program import EncoderProgram, SentenceProgram
from sw.driver.programs import ProgramDevice
from sw.driver.transport import Transport
from sw.golden.encoder import Encoding, check_sentence


class EncoderDevice(ProgramDevice):
    """A core, and the encoder that it runs.

    Parameters
    ----------
    transport : Transport
        How to reach the core and its memory.
    params : CoreParams
        The configuration that the core is expected to have.
    program : EncoderProgram
        Model and programs; the model is loaded at once.

    Attributes
    ----------
    program : EncoderProgram
        As given.

    Raises
    ------
    UserError
        If the core is not the one that is expected, or the program was made for another.
    """

    product = "sentence"

    def __init__(self, transport: Transport, params: CoreParams, program: EncoderProgram):
        super().__init__(
            transport, params, configuration=program.configuration, context=program.context
        )
        self.program = program
        self._loaded = 0
        self.transport.load(0, program.image)

    def load(self, tokens: int) -> SentenceProgram:
        """Put the programs for sentences of so many tokens into the core's memory, unless there."""
        sentence = self.program.sentence(tokens)
        if tokens != self._loaded:
            self.transport.load(self.program.address, sentence.octets)
            self._loaded = tokens
        return sentence

    def encode(self, tokens: Sequence[int]) -> Encoding:
        """Encode a sentence.

        Parameters
        ----------
        tokens : sequence of int
            Ids, 1 to ``program.context`` of them.

        Raises
        ------
        UserError
            If this is no sentence of the model, or longer than the core holds.
        DeviceError
            If the core stops the program, or does not end; then ``reset`` it.
        """
        program, config = self.program, self.program.config
        check_sentence(tokens, vocabulary=config.vocabulary, context=program.context)
        sentence = self.load(len(tokens))
        self.counters, self.cycles = dict.fromkeys(COUNTERS, 0), 0
        self._write("position", 0)
        programs = sentence.programs
        for token, embedding in zip(tokens, programs.embeddings, strict=True):
            self._write("token", token)
            instructions = embedding.instructions
            self._run(
                embedding.address,
                instructions,
                longest=sum(map(self._longest_instruction, instructions)),
            )
        instructions = programs.rest.instructions
        longest = sum(map(self._longest_instruction, instructions))
        self._run(programs.rest.address, instructions, longest=longest)
        return self._read_encoding(sentence)

    def _read_encoding(self, sentence: SentenceProgram) -> Encoding:
        vectors, config = sentence.vectors, self.program.config
        stride = vectors.residual_stride
        words = torch.from_numpy(self.read_vector(vectors.residual, vectors.tokens * stride))
        hidden = words.view(vectors.tokens, stride)[:, : config.width]
        pooled = torch.from_numpy(self.read_vector(vectors.pooled, config.width))
        logits = torch.empty(0, dtype=torch.int64)
        if config.labels:
            logits = torch.from_numpy(self.read_vector(vectors.logits, config.labels))
        return Encoding(hidden, pooled, logits)
