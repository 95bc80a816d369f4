"""Loading of checkpoints that somebody else trained."""
