"""Flink SQL as another system to compare with, in a virtual environment of its own."""
