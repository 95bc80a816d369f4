"""Baselines on the same code and the same text: accuracy, events, bytes, energy."""
