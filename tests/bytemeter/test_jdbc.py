"""JDBC URLs, and the options by which executors connect as the driver does."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from sqlalchemy.engine import make_url

from bytemeter.errors import BytemeterError
from bytemeter.jdbc import jdbc_options, jdbc_url, url_from_jdbc
from bytemeter.postgres import database
from bytemeter.settings import Settings


@pytest.mark.parametrize(
    ("jdbc", "url"),
    [
        (
            "jdbc:postgresql://db:6432/usage?user=ann&password=p%40ss",
            "postgresql://ann:p%40ss@db:6432/usage",
        ),
        ("jdbc:postgresql://db/usage?ssl=true", "postgresql://db/usage?sslmode=verify-full"),
        ("jdbc:postgresql://db/usage?ssl=true&sslmode=require", "postgresql://db/usage?sslmode=require"),
        (
            "jdbc:postgresql://db/usage?sslrootcert=/ca&channelBinding=require&options=-c%20work_mem=7MB",
            "postgresql://db/usage?channel_binding=require&options=-c work_mem=7MB&sslrootcert=/ca",
        ),
    ],
)
def test_a_jdbc_url_is_converted_with_its_parameters(jdbc: str, url: str) -> None:
    assert make_url(url_from_jdbc(jdbc)) == make_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/usage",
        "postgresql://ann@db:6432/usage?sslmode=verify-full&sslrootcert=/ca",
        "postgresql://a%40b@[::1]:5432/usage?channel_binding=require&options=-c%20work_mem=7MB",
    ],
)
def test_a_url_without_a_password_becomes_a_jdbc_url_and_back(url: str) -> None:
    assert make_url(url_from_jdbc(jdbc_url(url))) == make_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://ann:s3cret@db/usage", "has a password, which no argument may show"),
        ("postgresql://ann@db/usage?sslcrl=/crl", "has the parameter sslcrl, which JDBC lacks"),
    ],
)
def test_a_url_that_no_argument_may_show_or_that_jdbc_cannot_keep_is_refused(url: str, message: str) -> None:
    with pytest.raises(BytemeterError, match=message) as refused:
        jdbc_url(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:mysql://db/usage",
        "postgresql://db/usage",
        "jdbc:postgresql://db",
        "jdbc:postgresql://u:s3cret@h:x/db",
        "jdbc:postgresql://[s3cret/db",
    ],
)
def test_a_jdbc_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(BytemeterError, match="jdbc:postgresql://HOST:PORT/DB") as caught:
        url_from_jdbc(url)
    assert "s3cret" not in str(caught.value)


def test_a_parameter_that_would_be_lost_is_refused() -> None:
    with pytest.raises(BytemeterError, match="has the parameter sslfactory; expected user, password, ssl, sslmode,"):
        url_from_jdbc("jdbc:postgresql://db/usage?sslfactory=org.postgresql.ssl.NonValidatingFactory")


def test_executors_have_the_login_and_the_options_of_the_connection(
    place: Settings, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(place.require_database_url())
    login = tmp_path / "pgpass"
    login.touch(0o600)
    login.write_text(f"{url.host}:{url.port}:{url.database}:{url.username}:{url.password}\n")
    monkeypatch.setenv("PGPASSFILE", str(login))
    bare = f"postgresql://{url.username}@{url.host}:{url.port}/{url.database}?options=-c%20work_mem%3D7MB"
    with database(bare).connect() as connection:
        options = {**jdbc_options(connection), "query": "select current_setting('work_mem') as memory"}
    assert options["sslmode"] == "prefer"
    assert spark.read.format("jdbc").options(**options).load().collect() == [("7MB",)]


def test_what_jdbc_cannot_keep_is_refused(place: Settings, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    for parameter, value, reason in (
        (
            "ssl_min_protocol_version",
            "TLSv1.3",
            "ssl_min_protocol_version=TLSv1.3, which Spark's executors cannot keep",
        ),
        ("sslkey", str(key), "has the form PEM, which JDBC, by which"),
    ):
        url = make_url(place.require_database_url()).update_query_dict({parameter: value})
        with database(url.render_as_string(hide_password=False)).connect() as connection:
            with pytest.raises(BytemeterError, match=reason):
                jdbc_options(connection)
