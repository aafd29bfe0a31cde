"""The monthly recompute: the job, and the PostgreSQL tables that it corrects."""
