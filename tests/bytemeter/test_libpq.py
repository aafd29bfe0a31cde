"""The environment by which psql and its like connect as a URL says."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from bytemeter.libpq import environment


def test_all_that_the_url_says_is_in_the_environment() -> None:
    url = (
        "postgresql://ann:p%40ss@db/usage?sslmode=verify-full&sslrootcert=/ca&channel_binding=require&connect_timeout=3"
    )
    assert environment(make_url(url)) == {
        "PGHOST": "db",
        "PGPORT": "5432",
        "PGUSER": "ann",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "usage",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca",
        "PGCHANNELBINDING": "require",
        "PGCONNECT_TIMEOUT": "3",
    }


def test_what_the_url_does_not_say_is_left_to_libpq() -> None:
    assert environment(make_url("postgresql://db/usage")) == {"PGHOST": "db", "PGPORT": "5432", "PGDATABASE": "usage"}
