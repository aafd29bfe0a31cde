"""PostgreSQL for the recomputes: what was counted, staging tables, and the replacement of totals."""
