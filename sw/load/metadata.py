"""Reads the header of a GGUF file so that every mistake is one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from sw.errors import UserError

_MAGIC = b"GGUF"
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
}


class _BoundedReader(gguf.GGUFReader):
    """A GGUF reader that stops at the end of the file.

    The base class returns what is left, so that a damaged length makes it loop for hours.
    """

    def _get(self, offset, dtype, count=1, override_order=None):  # type: ignore[no-untyped-def]
        self.data = np.asarray(self.data)  # slicing the memory map itself is three times slower
        found = super()._get(offset, dtype, count, override_order)
        if len(found) != int(count):
            raise ValueError("the file ends too early")
        return found


class GgufFile:
    """An opened GGUF file, memory-mapped.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    tensors : dict
        ``gguf.ReaderTensor`` by name.

    Raises
    ------
    UserError
        If the file cannot be opened, is not GGUF, or is truncated or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                magic = file.read(len(_MAGIC))
        except OSError as error:
            raise UserError(f"Cannot open {path}: {error.strerror}.") from error
        if magic != _MAGIC:
            raise UserError(f"{path} is not a GGUF file: it does not begin with the letters GGUF.")
        try:
            reader = _BoundedReader(path)
        except (ValueError, IndexError, KeyError, OverflowError, TypeError, OSError) as error:
            raise UserError(
                f"{path} is truncated or damaged ({error}): copy or download it again."
            ) from error
        if reader.byte_order != "I":
            raise UserError(f"{path} is a big-endian GGUF file: convert it to little-endian.")
        self._fields = reader.fields
        self.tensors: dict[str, gguf.ReaderTensor] = {t.name: t for t in reader.tensors}

    def get(self, key: str, kind: type, default: Any = ...) -> Any:
        """Value of a metadata key.

        Parameters
        ----------
        key : str
            For example ``"llama.block_count"``.
        kind : type
            int, float, str, bool or list; a float may be written as a whole number.
        default : object, optional
            What to return if the key is absent; without it the key is required.

        Raises
        ------
        UserError
            If the key is required and absent, or its value is of another kind.
        """
        field = self._fields.get(key)
        if field is None:
            if default is ...:
                raise UserError(f"{self.path} lacks the metadata {key}: convert the model again.")
            return default
        try:
            value = field.contents()
        except ValueError as error:
            raise UserError(f"{self.path} is damaged: {key} is not UTF-8 ({error}).") from error
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise UserError(
                f"{self.path} has {key} = {str(value)[:40]} where {_WORDS[kind]} is wanted."
            )
        return value
