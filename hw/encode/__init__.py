"""From integer activations to events in time order."""
