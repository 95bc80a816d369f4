"""The ladder of reference models: float, fake-quantized, golden integer model."""
