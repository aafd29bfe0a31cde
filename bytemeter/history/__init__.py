"""The history: a Delta table per feed for valid records and one for invalid messages, all with partition and offset.

Executors write and read the data files themselves, as Arrow columns (``writing``, ``reading``). The driver commits the
files that were written and lists the files to read (``table``, ``delta``).
"""
