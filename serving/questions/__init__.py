"""One question in SQL, over the history and PostgreSQL at once: ``bytemeter sql``.

How a question goes: ``statement`` has DuckDB's parser say which tables a statement names, and refuses all that is no
question. ``asking`` opens a DuckDB in memory that can reach no file and no network, gives it these tables, from Delta
by ``history`` and from PostgreSQL by ``postgres``, and asks. ``formats`` writes the answer.

DuckDB's own extensions for Delta and PostgreSQL are not used: they are downloaded when they are first loaded.
"""
