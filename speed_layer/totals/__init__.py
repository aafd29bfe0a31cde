"""The live totals of a feed: its measure added up per dimension and window, on the driver."""
