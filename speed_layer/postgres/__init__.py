"""How the driver talks to PostgreSQL inside a counting transaction: COPY in and out, and lookups by index."""
