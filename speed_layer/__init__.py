"""The speed layer: counts records into PostgreSQL and appends them to the history in Delta, as they arrive."""
