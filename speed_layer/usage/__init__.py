"""The live totals of a feed: bytes per dimension and window of five minutes."""
