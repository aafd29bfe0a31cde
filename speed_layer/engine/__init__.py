"""The machinery of both streaming queries on the driver: start, micro-batches, transactions, ledger, restart."""
