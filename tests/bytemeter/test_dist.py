"""What a cluster gets: its driver and its executors are installed from locks."""

from __future__ import annotations

from pathlib import Path

from bytemeter.dist import build
from tests.integration.cluster import EXECUTOR_PACKAGES


def test_the_locks_are_those_of_driver_and_executors(tmp_path: Path) -> None:
    written = {path.name: path for path in build(tmp_path)}
    driver, executor = (written[name].read_text() for name in ("driver.txt", "executor.txt"))
    for package in (*EXECUTOR_PACKAGES, "msgspec"):
        assert f"\n{package}==" in driver
        assert f"\n{package}==" in executor
    for package in ("sqlalchemy", "kafka-python", "psycopg2-binary"):
        assert f"\n{package}==" in driver
        assert f"\n{package}==" not in executor
    assert "--hash=sha256:" in executor
