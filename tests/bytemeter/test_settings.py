"""Settings from the environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings, load_settings

URL = "postgresql://ann:s3cret@db:5432/usage"


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTEMETER_KAFKA", "one:9092")
    monkeypatch.setenv("BYTEMETER_HOME", "elsewhere")
    settings = load_settings(kafka="two:9092", home=None)
    assert (settings.kafka, settings.home) == ("two:9092", Path("elsewhere"))


def test_each_setting_is_documented() -> None:
    page = Path("docs/settings.md").read_text()
    for name in Settings.model_fields:
        variable = name.upper()
        documented = f"`{PREFIX}{variable}`" in page or f"`_{variable.removeprefix('KAFKA_')}`" in page
        assert documented, f"docs/settings.md lacks {PREFIX}{variable}"


def test_endpoints_have_no_default() -> None:
    settings = load_settings()
    assert (settings.kafka, settings.database_url, settings.history) == (None, None, None)


def test_passwords_show_nowhere() -> None:
    settings = load_settings(database_url=URL, kafka_sasl_password="hush")
    assert "s3cret" not in repr(settings)
    assert "hush" not in repr(settings)
    assert settings.require_database_url() == URL


def test_one_line_names_all_malformed_settings() -> None:
    with pytest.raises(BytemeterError) as caught:
        load_settings(kafka="broker", database_url="mysql://root:s3cret@db/x", history="s3://x", partitions=0)
    line = str(caught.value)
    assert "BYTEMETER_KAFKA: 'broker' is not HOST:PORT" in line
    assert "BYTEMETER_DATABASE_URL: the URL does not start with postgresql://" in line
    assert "BYTEMETER_HISTORY: 's3://x' is not a folder or gs://" in line
    assert "BYTEMETER_PARTITIONS: 0:" in line
    assert "s3cret" not in line
    assert "\n" not in line


@pytest.mark.parametrize("history", ["gs://bucket/pre fix", "file:///data/a%20b", "gs://bucket/a?b"])
def test_a_uri_that_spark_and_pyarrow_read_differently_is_refused(history: str) -> None:
    with pytest.raises(BytemeterError, match="has other characters than letters, digits and"):
        load_settings(history=history)


def test_a_folder_has_any_name_and_a_bucket_a_plain_one(tmp_path: Path) -> None:
    assert load_settings(history=f"{tmp_path}/a b%20c").history == f"{tmp_path}/a b%20c"
    assert load_settings(history="gs://bucket/usage_1/").history == "gs://bucket/usage_1"


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://",
        "postgresql://u:pw1@h:notaport/db",
        "postgresql:///db?password=pw1",
        "postgresql://u:pw1@h",
        "u:pw1@h/db",
        "pw1://u@h/db",
        "postgresql://u:p@pw1@h:x/db",
    ],
)
def test_a_bad_database_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BytemeterError, match="expected postgresql://user:password@host:port/database") as caught:
        load_settings(database_url=url)
    assert "pw1" not in str(caught.value)
