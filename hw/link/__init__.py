"""The host link of a board: serial line, frames, and what requests do (``docs/link.md``)."""
