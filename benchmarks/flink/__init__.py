"""Flink SQL as a peer, in a virtual environment of its own."""
