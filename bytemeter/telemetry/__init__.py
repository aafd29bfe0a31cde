"""What is special about telemetry: schemas of events by their kind, and what becomes of batches and events."""
