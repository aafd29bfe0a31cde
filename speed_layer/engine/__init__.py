"""Runs the streaming queries on the driver: start, micro-batches, transactions, ledger, errors and idle partitions."""
