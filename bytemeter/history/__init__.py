"""The history: a Delta table per feed, its rows with their positions, its commits with their end offsets.

Executors write and read its files themselves, as Arrow columns (``writing``, ``reading``); the driver commits what they
wrote, and knows which files there are (``table``).
"""

from bytemeter.history.reading import File, Piece, columns_of, pieces, read, shares
from bytemeter.history.table import History
from bytemeter.history.writing import Written, history_files

__all__ = ["File", "History", "Piece", "Written", "columns_of", "history_files", "pieces", "read", "shares"]
