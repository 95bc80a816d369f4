"""The synapse array: weights of a row on demand."""
