"""Settings from the environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings, load_settings, with_values

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
        documented = f"`{PREFIX}{variable}`" in page or f"`_{variable.partition('_')[2]}`" in page
        assert documented, f"docs/settings.md lacks {PREFIX}{variable}"


def test_endpoints_have_no_default() -> None:
    settings = load_settings()
    assert (settings.kafka, settings.database_url, settings.history) == (None, None, None)


def test_single_settings_get_other_values_that_are_held_against_what_they_expect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_settings(kafka="one:9092", database_url=URL, submit_region="here")
    # What flags have overruled is not read a second time.
    monkeypatch.setenv("BYTEMETER_KAFKA", "nonsense")
    changed = with_values(settings, submit_code="gs://code/x", submit_region="there")
    assert (changed.submit_code, changed.submit_region, changed.kafka) == ("gs://code/x", "there", "one:9092")
    assert changed.require_database_url() == URL
    assert with_values(settings) == settings
    with pytest.raises(BytemeterError) as refused:
        with_values(settings, submit_code="s3://x", submit_postgresql_ca="none.pem")
    assert str(refused.value).startswith("BYTEMETER_SUBMIT_CODE: 's3://x': ")
    assert "; BYTEMETER_SUBMIT_POSTGRESQL_CA: 'none.pem' cannot be read" in str(refused.value)


def test_passwords_show_nowhere() -> None:
    sasl = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ann"}
    settings = load_settings(database_url=URL, kafka_sasl_password="hush", **sasl)
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


def test_a_secret_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, password = tmp_path / "url", tmp_path / "password"
    for path, secret in ((url, URL), (password, " hush ")):
        path.touch(0o640)
        path.write_text(f"{secret}\n")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", str(url))
    monkeypatch.setenv("BYTEMETER_KAFKA_SASL_PASSWORD_FILE", str(password))
    sasl = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ann"}
    settings = load_settings(**sasl)
    assert settings.require_database_url() == URL
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == " hush "
    assert "s3cret" not in repr(settings)
    assert load_settings(**sasl, database_url="postgresql://db/other").require_database_url() == "postgresql://db/other"


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        (None, 0, "cannot be read: No such file or directory"),
        ("", 0o600, "is empty; write the secret into it"),
        (f"{URL}\n{URL}\n", 0o600, "has more than one line"),
        (URL, 0o604, "is open to all users of this machine; run `chmod o-rw "),
        ("postgresql://u:s3cret@h", 0o600, "the URL lacks a database"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_in_one_line(
    content: str | None, mode: int, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(BytemeterError, match="^BYTEMETER_DATABASE_URL_FILE: ") as caught:
        load_settings(database_url_file=path)
    line = str(caught.value)
    assert complaint in line
    assert "s3cret" not in line
    assert "\n" not in line


def test_a_secret_is_not_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "url"
    path.touch(0o600)
    path.write_text(URL)
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", URL)
    with pytest.raises(BytemeterError, match="DATABASE_URL: set, and so is BYTEMETER_DATABASE_URL_FILE; unset one"):
        load_settings(database_url_file=path)


def test_a_login_in_the_query_of_a_url_is_moved_to_where_it_is_hidden() -> None:
    url = load_settings(database_url="postgresql://db/usage?user=ann&password=s3cret&sslmode=require")
    assert url.require_database_url() == "postgresql://ann:s3cret@db/usage?sslmode=require"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ann"},
            "BYTEMETER_KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs BYTEMETER_KAFKA_SASL_PASSWORD",
        ),
        (
            {"kafka_sasl_password": "s3cret"},
            "BYTEMETER_KAFKA_SASL_PASSWORD is set, but BYTEMETER_KAFKA_SECURITY_PROTOCOL is PLAINTEXT; "
            "set it to SASL_SSL",
        ),
        (
            {"kafka_ssl_ca_location": "CA"},
            "BYTEMETER_KAFKA_SSL_CA_LOCATION is set, but BYTEMETER_KAFKA_SECURITY_PROTOCOL is PLAINTEXT; "
            "set it to SASL_SSL or SSL",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_certificate_location": "CA"},
            "BYTEMETER_KAFKA_SSL_CERTIFICATE_LOCATION: 'CA' has no line -----BEGIN PRIVATE KEY-----; append the key, "
            "as PKCS#8 without a passphrase",
        ),
    ],
)
def test_settings_that_would_connect_in_clear_are_refused(
    changes: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch(0o600)
    ca.write_text("-----BEGIN CERTIFICATE-----")
    with pytest.raises(BytemeterError) as caught:
        load_settings(**{name: ca if value == "CA" else value for name, value in changes.items()})
    assert str(caught.value) == complaint.replace("CA'", f"{ca}'")


def test_a_billing_zone_is_a_name_of_the_time_zone_database() -> None:
    assert load_settings(billing_zone="Asia/Kolkata").billing_zone == "Asia/Kolkata"
    with pytest.raises(BytemeterError, match="BYTEMETER_BILLING_ZONE: 'Europe/Nowhere' is not the name of an IANA"):
        load_settings(billing_zone="Europe/Nowhere")
