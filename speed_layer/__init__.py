"""The speed layer: live totals into PostgreSQL and the history into Delta, as records arrive."""
