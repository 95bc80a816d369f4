"""Sequencer: runs device programs."""
