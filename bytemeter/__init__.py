"""Contracts, pure transformations and access to Kafka, PostgreSQL and the history, shared by all layers."""

__version__ = "0.1.0"
