"""Cycle model: cycles and bytes of a token, without simulating the core."""
