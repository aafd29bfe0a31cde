"""What the driver does for telemetry alone: events get their rows of the reference tables."""
