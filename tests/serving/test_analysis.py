"""What a notebook reads with: with a reader's rights whoever the login is, and one line for what is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, make_url, text

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from serving.analysis import ask, table


@pytest.fixture
def named(place: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment names the test's place, with the login of the tables' owner."""
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", place.require_database_url())
    monkeypatch.setenv("BYTEMETER_HISTORY", place.require_history())
    return place


@pytest.fixture
def stranger(engine: Engine) -> Iterator[str]:
    """The URL of a login without any right."""
    with engine.begin() as connection:
        connection.execute(text("create role stranger_of_tests login password 'secret'"))
    url = engine.url.set(drivername="postgresql", username="stranger_of_tests", password="secret")
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text("drop role stranger_of_tests"))


def test_a_select_gives_a_table_with_instants_in_utc(named: Settings) -> None:
    rows = ask("select email, quota, timestamptz '2026-11-21 10:00+01' as at from user_metadata order by id limit 2")
    assert rows["email"].tolist() == ["user01@example.com", "user02@example.com"]
    assert str(rows["at"].iloc[0]) == "2026-11-21 09:00:00+00:00"


@pytest.mark.parametrize(
    "statement", ["delete from user_metadata returning id", "create table mine as select 1", "select nextval('mine')"]
)
def test_even_the_owner_of_the_tables_changes_nothing(named: Settings, engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("create sequence mine"))
    with pytest.raises(Exception, match="permission denied|read-only"):
        ask(statement)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from user_metadata")) == 20


def test_a_login_that_is_no_reader_is_named_in_one_line(
    named: Settings, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", stranger)
    with pytest.raises(
        BytemeterError, match="the user stranger_of_tests cannot read as bytemeter_reader: .*; run"
    ) as e:
        ask("select 1")
    assert "\n" not in str(e.value)
    assert "secret" not in str(e.value)
    assert make_url(stranger).password == "secret"


def test_a_table_that_the_history_does_not_have_is_named_in_one_line(named: Settings) -> None:
    with pytest.raises(BytemeterError, match="has no table devices: .*`bytemeter stream` writes the history") as error:
        table("devices")
    assert "\n" not in str(error.value)


def test_without_settings_the_error_says_how_notebooks_are_started() -> None:
    with pytest.raises(BytemeterError, match="DATABASE_URL is not set; start notebooks by `make notebooks`"):
        ask("select 1")
    with pytest.raises(BytemeterError, match="HISTORY is not set; start notebooks by `make notebooks`"):
        table("devices")
