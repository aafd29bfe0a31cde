"""Deduplication by event id: which records of a micro-batch were counted before."""
