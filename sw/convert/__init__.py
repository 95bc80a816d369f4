"""Conversion of a checkpoint to the hybrid spike and integer model."""
