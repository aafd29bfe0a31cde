"""The history: one Delta table per feed, each row with its Kafka partition and offset.

Executors write and read the data files themselves, as Arrow columns (``writing``, ``reading``). The driver commits the
files that were written and lists the files to read (``table``, ``delta``).
"""
