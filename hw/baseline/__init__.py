"""What the event-driven core is compared with."""
