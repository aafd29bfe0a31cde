"""Fills telemetry's reference tables: ``bytemeter load``.

How a file goes: ``rows`` reads CSV or parquet, each row to its id and its other columns as JSON, or to the reason why
it is left out; ``loading`` copies the rows and applies what differs, all in one transaction.
"""
