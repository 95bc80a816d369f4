"""Vector unit: what a layer computes between its matrices."""
