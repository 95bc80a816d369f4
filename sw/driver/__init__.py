"""The driver: one device class over interchangeable transports."""
