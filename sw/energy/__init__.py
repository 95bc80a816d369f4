"""Energy: counters times cited constants."""
