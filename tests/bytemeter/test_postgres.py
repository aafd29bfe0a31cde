"""URLs of the database on both sides, and its errors as one line."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.postgres import database, jdbc_options, one_line_errors, url_from_jdbc
from bytemeter.settings import Settings


def test_a_jdbc_url_and_back() -> None:
    url = url_from_jdbc("jdbc:postgresql://db:6432/usage?user=ann&password=p%40ss")
    assert make_url(url).password == "p@ss"
    options = jdbc_options(url)
    assert options["url"] == "jdbc:postgresql://db:6432/usage"
    assert (options["user"], options["password"]) == ("ann", "p@ss")


@pytest.mark.parametrize("url", ["jdbc:mysql://db/usage", "postgresql://db/usage", "jdbc:postgresql://db"])
def test_another_jdbc_url_is_refused(url: str) -> None:
    with pytest.raises(BytemeterError, match="jdbc:postgresql://HOST:PORT/DB"):
        url_from_jdbc(url)


def test_an_unreachable_server_is_told_in_one_line() -> None:
    engine = database("postgresql://u:p@127.0.0.1:1/db")
    with pytest.raises(TransientError, match=r"PostgreSQL at 127\.0\.0\.1:1/db cannot be reached") as caught:
        with one_line_errors(engine.url):
            engine.connect()
    assert "\n" not in str(caught.value)


def test_missing_tables_and_a_wrong_password_are_told_with_the_remedy(place: Settings) -> None:
    engine = database(place.require_database_url())
    with pytest.raises(BytemeterError, match="run `bytemeter migrate`"), one_line_errors(engine.url):
        with engine.connect() as connection:
            connection.execute(text("select * from nowhere"))
    wrong = database(engine.url.set(drivername="postgresql", password="wrong").render_as_string(hide_password=False))
    with pytest.raises(BytemeterError, match="refused the login"), one_line_errors(wrong.url):
        wrong.connect()
