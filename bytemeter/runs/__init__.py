"""Runs of jobs: each one at a time, by the job's lease, and with a row in PostgreSQL that it writes itself."""
