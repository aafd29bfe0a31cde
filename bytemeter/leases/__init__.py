"""Leases: one process at a time counts a feed, or runs a job; rows of PostgreSQL with a fencing epoch."""
