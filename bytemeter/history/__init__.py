"""The history: a Delta table per feed, its rows with their positions, its commits with their end offsets.

Executors write its files themselves, as Arrow columns (``files``); the driver commits what they wrote (``table``).
"""

from bytemeter.history.files import Written, history_files
from bytemeter.history.table import History

__all__ = ["History", "Written", "history_files"]
