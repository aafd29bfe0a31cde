"""Every command on a Kafka and a PostgreSQL that take TLS only; none of them without TLS, and no secret shown anywhere."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from confluent_kafka import Producer
from py4j.protocol import Py4JJavaError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from bytemeter import kafka as kafka_module
from bytemeter.errors import BytemeterError
from bytemeter.jdbc import jdbc_options
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.prepare import prepare
from bytemeter.settings import PREFIX, load_settings
from bytemeter.source import stream
from cli.main import main
from embedded.home import Home
from serving.dashboards import bundle
from serving.reader import reader_login
from tests.commands import signal_handlers_restored
from tests.integration.tls import (
    DATABASE_PASSWORD,
    KAFKA_PASSWORD,
    KAFKA_USER,
    Certificates,
    SecureBroker,
    database_url,
    make_certificates,
    secure_postgresql,
)

MONTH = f"{dt.datetime.now(dt.UTC):%Y-%m}"
DATABASE_COMMANDS = (
    ["migrate"],
    ["provision"],
    ["stream", "--once"],
    ["batch", "hourly", "--dirty"],
    ["batch", "monthly", "--month", MONTH],
    ["psql", "-c", "select 1"],
)
KAFKA_COMMANDS = (["migrate"], ["simulate", "devices", "--records", "1"], ["stream", "--once"])
SECRETS = (KAFKA_PASSWORD, DATABASE_PASSWORD, "pg%40pa", 'k\\"f')

pytestmark = pytest.mark.usefixtures("_own_signals")


@pytest.fixture
def _own_signals() -> Iterator[None]:
    with signal_handlers_restored():
        yield


@dataclass(frozen=True)
class Servers:
    """The two servers, and files of the test."""

    certificates: Certificates
    broker: SecureBroker
    postgresql_port: int
    folder: Path

    def url(self, **parameters: object) -> str:
        """The URL of the database; by default with TLS."""
        return database_url(
            self.postgresql_port, **{"sslmode": "verify-full", "sslrootcert": self.certificates.ca, **parameters}
        )

    def secret(self, name: str, content: str) -> str:
        """The path of a new file with a secret."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(f"{content}\n")
        return str(path)

    def variables(self) -> dict[str, str]:
        """The settings with which each command works."""
        return {
            "HOME": str(self.folder / "home"),
            "KAFKA": self.broker.servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": KAFKA_USER,
            "KAFKA_SASL_PASSWORD_FILE": self.secret("kafka-password", KAFKA_PASSWORD),
            "KAFKA_SSL_CA_LOCATION": str(self.certificates.ca),
            "DATABASE_URL_FILE": self.secret("database-url", self.url()),
            "HISTORY": str(self.folder / "history"),
        }


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("tls")
    certificates = make_certificates(folder)
    broker = SecureBroker(Home(folder / "home"), certificates)
    with ExitStack() as running, ThreadPoolExecutor(1) as pool:
        running.callback(broker.stop)
        started = pool.submit(broker.start)
        port = running.enter_context(secure_postgresql(certificates))
        started.result()
        servers = Servers(certificates, broker, port, folder)
        prepare(load_settings(**{name.lower(): value for name, value in servers.variables().items()}))
        yield servers


@pytest.fixture
def change(secure: Servers, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the settings into the environment, with changes; a value of None unsets a variable."""

    def put(**changes: str | None) -> None:
        for name, value in {**secure.variables(), **changes}.items():
            monkeypatch.delenv(PREFIX + name, raising=False)
            if value is not None:
                monkeypatch.setenv(PREFIX + name, value)

    put()
    return put


def test_every_command_works_over_tls_and_shows_no_secret(
    secure: Servers, change: Callable[..., None], spark: SparkSession, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in (
        *DATABASE_COMMANDS[:2],
        ["simulate", "devices", "--records", "200"],
        ["simulate", "agreements", "--subscribers", "5"],
        ["simulate", "data-records", "--records", "100", "--subscribers", "5"],
        *DATABASE_COMMANDS[2:],
        # The second start finds the leases of the first.
        ["stream", "--once"],
    ):
        assert main(command) == 0, capfd.readouterr().err
    shown = "".join(capfd.readouterr())
    assert "sent 200 records" in shown
    query = "select ssl, (select count(*) > 0 from bytes_hourly) from pg_stat_ssl where pid = pg_backend_pid()"
    assert main(["psql", "-Atc", query, "-c", "\\! tr '\\0' ' ' < /proc/$PPID/cmdline"]) == 0
    answer, argv = capfd.readouterr().out.splitlines()
    assert answer == "t|t"
    assert "pg_stat_ssl" in argv

    arguments = [argv, *(" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))]
    assert any("org.apache.spark" in line for line in arguments)
    executions = spark._jsparkSession.sharedState().statusStore().executionsList()
    plans = [executions.apply(n).physicalPlanDescription() for n in range(executions.size())]
    assert any("SaveIntoDataSourceCommand" in plan for plan in plans)
    everywhere = {
        "output": shown,
        "argv": "\n".join(arguments),
        "plans": "\n".join(plans),
        "plan of the source": plan_of_source(spark),
        "failure of a query": failure_of_query(spark),
        "conf": str(spark.sparkContext.getConf().getAll()),
        **{path.name: path.read_text(errors="replace") for path in (home / "logs").glob("spark.*")},
    }
    assert leaks(everywhere) == []
    assert spark.sparkContext.getConf().get("spark.authenticate") == "true"


def plan_of_source(spark: SparkSession) -> str:
    """All plans of a query over a topic, with the options that they show."""
    rows = stream(spark, Kafka(load_settings()), "devices", {0: 0}, most_records=1)
    plan = str(rows._jdf.queryExecution().toString())
    assert "kafka.security.protocol" in plan
    return plan


def failure_of_query(spark: SparkSession) -> str:
    """How Spark describes the end of a query that failed."""
    rows = stream(spark, Kafka(load_settings()), "devices", {0: 0}, most_records=1)
    query = rows.writeStream.foreachBatch(lambda *_: 1 / 0).trigger(availableNow=True).start()
    with pytest.raises(StreamingQueryException) as caught:
        query.awaitTermination()
    return f"{caught.value} {caught.value._origin.toString()}"


def leaks(shown: dict[str, str]) -> list[tuple[str, str]]:
    """Where a secret stands."""
    return [(where, secret) for where, content in shown.items() for secret in SECRETS if secret in content]


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "OTHER"}, "certificate verify failed"),
        ({"password": "not-it"}, "password authentication failed"),
    ],
    ids=["without TLS", "with another authority", "with a wrong password"],
)
def test_no_command_uses_the_database(
    database: dict[str, str],
    reason: str,
    secure: Servers,
    change: Callable[..., None],
    spark: SparkSession,
    capfd: pytest.CaptureFixture[str],
) -> None:
    parameters = {n: str(secure.certificates.other_ca) if v == "OTHER" else v for n, v in database.items()}
    change(DATABASE_URL_FILE=secure.secret("other-url", secure.url(**parameters)))
    for command in DATABASE_COMMANDS:
        assert main(command) == 1, command
        (line,) = capfd.readouterr().err.splitlines()
        assert reason in line, command
        assert leaks({"error": line}) == []
    with pytest.raises(BytemeterError, match=reason):
        reader_login(database_of_settings())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("without TLS", "cannot be reached: .*; is it up, and BYTEMETER_KAFKA right"),
        ("with another authority", "cannot be reached: .*SSL handshake failed"),
        ("with a wrong password", "refused the login: .*; check BYTEMETER_KAFKA_SASL"),
    ],
)
def test_no_command_uses_kafka(
    wrong: str,
    reason: str,
    secure: Servers,
    change: Callable[..., None],
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    changes = {
        "without TLS": {name: None for name in secure.variables() if name.startswith("KAFKA_")},
        "with another authority": {"KAFKA_SSL_CA_LOCATION": str(secure.certificates.other_ca)},
        "with a wrong password": {"KAFKA_SASL_PASSWORD_FILE": secure.secret("wrong", "not-it")},
    }
    # Clients try again until then.
    monkeypatch.setattr(kafka_module, "_TIMEOUT_MS", 1_500, raising=False)
    change(**changes[wrong])
    for command in KAFKA_COMMANDS:
        assert main(command) == 1, command
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        (line,) = lines
        assert re.match(f"bytemeter: Kafka at {re.escape(secure.broker.servers)} {reason}", line), (command, line)
        assert leaks({"error": line}) == []


def test_executors_verify_the_server_as_the_driver_does(
    secure: Servers, change: Callable[..., None], spark: SparkSession
) -> None:
    with database_of_settings().connect() as connection:
        options = {**jdbc_options(connection), "query": "select ssl from pg_stat_ssl where pid = pg_backend_pid()"}
    assert spark.read.format("jdbc").options(**options).load().collect() == [(True,)]
    other = {**options, "sslrootcert": str(secure.certificates.other_ca)}
    with pytest.raises(Py4JJavaError, match="PKIX path validation failed|unable to find valid certification path"):
        spark.read.format("jdbc").options(**other).load()


def test_dashboards_read_over_tls(secure: Servers, change: Callable[..., None]) -> None:
    login = reader_login(database_of_settings())
    with zipfile.ZipFile(io.BytesIO(bundle(login))) as archive:
        written = yaml.safe_load(archive.read("bytemeter/databases/Bytemeter.yaml"))["sqlalchemy_uri"]
    url = make_url(written)
    assert url.query == {"sslmode": "verify-full", "sslrootcert": str(secure.certificates.ca)}
    # As Superset connects: by this URL, with the password that it was given beside it.
    with create_engine(url.set(password=login.password)).connect() as connection:
        assert connection.scalar(text("select current_user")) == "dashboards_of_postgres"


def test_client_certificates_reach_all_clients(
    secure: Servers, change: Callable[..., None], spark: SparkSession
) -> None:
    certificates = secure.certificates
    change(
        **{name: None for name in secure.variables() if name.startswith("KAFKA_SASL")},
        KAFKA=secure.broker.certified_servers,
        KAFKA_SECURITY_PROTOCOL="SSL",
        KAFKA_SSL_CERTIFICATE_LOCATION=str(certificates.client),
    )
    kafka = Kafka(load_settings())
    kafka.create("certified")
    producer = Producer({**kafka.librdkafka(), "log_level": 0})
    producer.produce("certified", b"message")
    assert producer.flush(30) == 0
    topic = spark.read.format("kafka").options(**kafka.spark()).option("subscribe", "certified").load()
    assert topic.count() == 1

    with database_of_settings().begin() as connection:
        connection.exec_driver_sql("create role certified login password 'certified'")
    url = make_url(secure.url(sslcert=certificates.client_certificate, sslkey=certificates.client_key))
    login = url.set(username="certified", password="certified").render_as_string(hide_password=False)
    with database(login).connect() as connection:
        options = {**jdbc_options(connection), "query": "select cast(current_user as text) as who"}
    assert spark.read.format("jdbc").options(**options).load().collect() == [("certified",)]


def database_of_settings() -> Engine:
    return database(load_settings().require_database_url())
