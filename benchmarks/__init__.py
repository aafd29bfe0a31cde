"""Throughput of the queries, as ratios within one run."""
