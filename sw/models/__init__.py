"""The model that ships with Firstspike; ``README.md`` beside it says where it comes from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def bundled_model() -> Path:
    """Path of the bundled GGUF checkpoint."""
    return Path(str(resources.files(__name__) / "austen-0.3m.gguf"))
