"""Memory layout of a converted model for one hardware configuration."""
