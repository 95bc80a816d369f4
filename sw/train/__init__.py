"""Training of encoders: fine-tuning, and training with quantization in the loop."""
