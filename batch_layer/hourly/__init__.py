"""The hourly recompute: the job, and the PostgreSQL tables that it replaces hour by hour."""
