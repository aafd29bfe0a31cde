"""The notebooks run on two months of simulated traffic, as a user who may only read; their copies in docs are theirs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine, text

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from demo.backlog import Backlog
from serving.reader import reader_login
from tests.buckets import BUCKET
from tests.notebooks.rendering import DOCS, NAMES, executed, rendered, sources, texts
from tests.seeds import SEED
from tests.telemetry import create_topics

UNTIL = dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC)
DOCS_SEED = 7
# What an analyst would want to see in each of them, whatever the seed.
FIGURES = {
    "app_sessions": r"[1-9][\d,]+ events of 1\d kinds are counted",
    "ledger": r"all 15 partitions balance: 2\d\d,\d{3} messages received",
    "network_day": r"(\d+) hours: bytes by app equal bytes by antenna in each",
    "raw_records": r"[1-9]\d* totals of [1-9]\d* hours are equal",
    "subscriber_month": r"[1-9]\d* threshold events, each at or above its threshold; none is missing",
    "who_will_exceed": r"learned from 1\d\d periods",
}


@pytest.fixture
def analyst(place: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Notebooks that this process runs read the test's place as a user who may only read."""
    login = reader_login(engine, "analyst_of_tests").set(drivername="postgresql")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", login.render_as_string(hide_password=False))
    monkeypatch.setenv("BYTEMETER_HISTORY", place.require_history())
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    yield
    with engine.begin() as connection:
        connection.execute(text("drop role analyst_of_tests"))


def test_all_notebooks_run_and_show_the_figures_of_two_months(
    place: Settings, spark: SparkSession, analyst: None, request: pytest.FixtureRequest
) -> None:
    written = request.config.getoption("--write-notebooks")
    create_topics(place)
    backlog = Backlog(spark, place, UNTIL, DOCS_SEED if written else SEED)
    backlog.fill()
    with pytest.raises(BytemeterError, match="records were counted here before; .* give e.g. `bytemeter --home"):
        backlog.fill()
    for name, notebook in executed(*NAMES).items():
        assert re.search(FIGURES[name], texts(notebook)), f"{name} shows {texts(notebook)}"
        if written:
            rendered(name, notebook).write(DOCS)


@BUCKET
def test_notebooks_read_the_history_in_a_bucket(place: Settings, spark: SparkSession, analyst: None) -> None:
    Backlog(spark, place, UNTIL, SEED).phones()
    for name, notebook in executed("raw_records", "network_day").items():
        assert re.search(FIGURES[name], texts(notebook)), f"{name} shows {texts(notebook)}"


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_in_docs_has_the_cells_of_the_notebook_and_its_pictures(name: str) -> None:
    copy = (DOCS / f"{name}.md").read_text()
    places = [copy.find(source) for source in sources(name)]
    assert min(places) >= 0, "run `make notebook-docs`"
    assert places == sorted(places)
    pictures = re.findall(r"\]\((images/.*?)\)", copy)
    assert pictures
    assert all((DOCS / picture).stat().st_size < 150_000 for picture in pictures)
