"""One broker, one database server and one Spark session for the whole run; each test has its own place on them."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType
from sqlalchemy import Engine, text

from bytemeter import logs
from bytemeter.history.storage import EMULATOR, KEY_FILE
from bytemeter.migrations import migrate
from bytemeter.postgres import database
from bytemeter.settings import PREFIX, Settings, load_settings
from bytemeter.spark import local_session
from embedded.home import HOST, Home, free_port
from embedded.stack import EmbeddedStack
from simulator.users import provision
from tests.archives import archive_written
from tests.buckets import REQUIRED_OPTION, Buckets, buckets, server_program
from tests.places import Places
from tests.seeds import GIVEN, SEED, USABLE, VARIABLE

_numbers = itertools.count(1)
_SHORT_LIVED = "-XX:TieredStopAtLevel=1"

# Machines are noisy: how long an example takes tells nothing.
hypothesis.settings.register_profile("bytemeter", deadline=None)
hypothesis.settings.load_profile("bytemeter")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="fault tests at full size: 100,000 agreements, 2,000,000 records"
    )
    parser.addoption("--write-schema", action="store_true", help="write docs/schema.sql anew")
    parser.addoption("--write-notebooks", action="store_true", help="write docs/notebooks anew")
    parser.addoption("--pictures", type=Path, help="folder for the pictures of the dashboards")
    parser.addoption(REQUIRED_OPTION, action="store_true", help="fail, rather than skip, where no bucket can be had")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis draws by the run's seed, unless it has one of its own."""
    if GIVEN and not USABLE:
        raise pytest.UsageError(f"{VARIABLE} is {GIVEN!r}; expected the number that a run printed as its seed")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)


def pytest_report_header() -> str:
    """The seed, so that a failure can be repeated."""
    return f"seed: {SEED} ({VARIABLE}={SEED} repeats it)"


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of this run; pytest prints it."""
    return SEED


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether fault tests run at full size."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures of dashboards go."""
    return Path(request.config.getoption("--pictures") or tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _environment() -> None:
    """Tests do not see the settings of the shell that runs them."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    # Processes that tests start end at once; one of ``tests.archives`` writes the archive from which they start.
    os.environ[f"{PREFIX}CLASS_ARCHIVE"] = "false"
    # They run for seconds: HotSpot's second compiler would take a third of them and never pay off.
    os.environ["SPARK_SUBMIT_OPTS"] = f"{_SHORT_LIVED} -XX:ReservedCodeCacheSize=240m"
    os.environ["SPARK_LAUNCHER_OPTS"] = f"{_SHORT_LIVED} -XX:+UseSerialGC"
    # Where ``object_storage`` starts its server once a test asks for it; Spark's session may be older.
    os.environ[EMULATOR] = f"{HOST}:{free_port()}"
    os.environ.pop(KEY_FILE, None)
    logs.configure()


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """The home of the run's embedded stack."""
    folder = Path(tempfile.mkdtemp(prefix="bytemeter-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(home: Path) -> Iterator[Settings]:
    """The run's Kafka and PostgreSQL, with a migrated and provisioned database as template."""
    stack = EmbeddedStack(Home(home))
    stack.up()
    settings = stack.settings(load_settings(home=home))
    engine = database(settings.require_database_url())
    _spare_the_disk(engine)
    migrate(engine)
    provision(engine)
    yield settings
    stack.down()


def _spare_the_disk(engine: Engine) -> None:
    """Let the server not wait for the disk: tests kill processes, no machine."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("alter system set fsync = off"))
        connection.execute(text("select pg_reload_conf()"))


@pytest.fixture(scope="session")
def spark(home: Path) -> Iterator[SparkSession]:
    """The run's Spark session."""
    session = local_session("bytemeter-tests", logs=home / "logs", memory="1500m", gcs=True, background=True)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def object_storage(home: Path, request: pytest.FixtureRequest) -> Iterator[Buckets]:
    """The run's object storage, at the address that STORAGE_EMULATOR_HOST names; skipped where Go is absent."""
    program = server_program()
    if isinstance(program, str):
        (pytest.fail if request.config.getoption(REQUIRED_OPTION) else pytest.skip)(program)
    home.mkdir(exist_ok=True)
    with buckets(program, home, int(os.environ[EMULATOR].rpartition(":")[2])) as storage:
        yield storage


@pytest.fixture
def history_root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test's history is to be: a folder, or a prefix in a bucket of its own.

    Mark a test by ``tests.buckets.FOLDER_AND_BUCKET`` to run it on both, or by ``BUCKET``; else it runs on a folder.
    """
    if getattr(request, "param", "folder") == "folder":
        return str(tmp_path / "history")
    storage: Buckets = request.getfixturevalue("object_storage")
    return f"{storage.create(f'bucket-{next(_numbers)}')}/usage"


@pytest.fixture(scope="session")
def places(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Where places of tests come from."""
    made = Places(servers)
    with archive_written(made, str(tmp_path_factory.mktemp("archive") / "history")):
        yield made
    made.close()


@pytest.fixture
def stored(places: Places, history_root: str) -> Iterator[Settings]:
    """Settings with a database of the test's own, for tests that need no topics."""
    with places.database(history_root) as settings:
        yield settings


@pytest.fixture(scope="module")
def shared(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same for all tests of a module, which only read it."""
    with places.database(str(tmp_path_factory.mktemp("shared") / "history")) as settings:
        yield settings


@pytest.fixture
def place(stored: Settings, places: Places) -> Settings:
    """Settings with a database, topics and a history of the test's own, all empty and ready."""
    places.require_topics(stored)
    return stored


@pytest.fixture(scope="module")
def shared_place(shared: Settings, places: Places) -> Settings:
    """A place for all tests of a module: a fixture of the module writes, its tests only read."""
    places.require_topics(shared)
    return shared


@pytest.fixture
def engine(stored: Settings) -> Engine:
    """The test's database."""
    return database(stored.require_database_url())


@pytest.fixture
def rows(engine: Engine) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask the test's database."""

    def ask(statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    return ask


Transform = Callable[[DataFrame], DataFrame]


@pytest.fixture
def batch(spark: SparkSession) -> Callable[..., list[Row]]:
    """Apply a transformation to rows."""

    def applied(transform: Transform, data: list[Any], schema: StructType | str) -> list[Row]:
        return spark.createDataFrame(data, schema).transform(transform).collect()

    return applied


@pytest.fixture(params=["batch", "stream"])
def run(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path, batch: Callable[..., list[Row]]
) -> Callable[..., list[Row]]:
    """Apply a transformation to rows, as batch and as stream: the same test holds for both."""

    def as_stream(transform: Transform, data: list[Any], schema: StructType | str) -> list[Row]:
        name = f"stream_{next(_numbers)}"
        given = spark.createDataFrame(data, schema)
        given.write.parquet(str(tmp_path / name))
        streamed = spark.readStream.schema(given.schema).parquet(str(tmp_path / name)).transform(transform)
        writer = streamed.writeStream.format("memory").queryName(name)
        query = (
            writer.option("checkpointLocation", str(tmp_path / f"{name}.checkpoint")).trigger(availableNow=True).start()
        )
        query.awaitTermination()
        return spark.table(name).collect()

    return batch if request.param == "batch" else as_stream
