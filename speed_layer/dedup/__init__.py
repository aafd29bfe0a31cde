"""Deduplication by event id: finds the records of a micro-batch whose event id was counted before."""
