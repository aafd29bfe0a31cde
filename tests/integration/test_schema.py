"""docs/schema.sql is the schema that all migrations together make."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bytemeter.settings import Settings
from embedded.database import client

DOCUMENTED = Path("docs/schema.sql")
HEADER = """-- The schema of the database, as all migrations of sql/migrations together make it: to be read, not to be run.
-- Written by: make schema
"""
# Settings of the dump's own session, and its tokens against injection.
SESSION = re.compile(r"^(SET |SELECT pg_catalog\.set_config|\\(un)?restrict|--).*\n", re.MULTILINE)


def dumped(place: Settings) -> str:
    """The schema of the test's database, without owners and privileges."""
    url = make_url(place.require_database_url())
    login = {"PGHOST": url.host, "PGPORT": str(url.port), "PGUSER": url.username, "PGPASSWORD": str(url.password)}
    done = subprocess.run(
        [client("pg_dump"), "--schema-only", "--no-owner", "--no-privileges", str(url.database)],
        env={**os.environ, **{name: str(value) for name, value in login.items()}},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return HEADER + re.sub(r"\n{2,}", "\n\n", SESSION.sub("", done.stdout)).rstrip() + "\n"


def test_the_schema_is_documented(place: Settings, request: pytest.FixtureRequest) -> None:
    found = dumped(place)
    if request.config.getoption("--write-schema"):
        DOCUMENTED.write_text(found)
    assert DOCUMENTED.read_text() == found, "run `make schema`"
