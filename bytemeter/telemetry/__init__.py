"""Telemetry: what becomes of a batch and of an event, as pure functions from bytes to bytes."""
