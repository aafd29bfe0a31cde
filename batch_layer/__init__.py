"""The batch layer: exact recomputes from the history into PostgreSQL."""
