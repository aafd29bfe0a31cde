"""What a cluster gets: its driver and its executors are installed from locks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bytemeter.dist import build, write_program
from tests.integration.cluster import EXECUTOR_PACKAGES


def test_the_locks_are_those_of_driver_and_executors(tmp_path: Path) -> None:
    written = {path.name: path for path in build(tmp_path)}
    driver, executor = (written[name].read_text() for name in ("driver.txt", "executor.txt"))
    for package in (*EXECUTOR_PACKAGES, "msgspec", "jsonschema-rs"):
        assert f"\n{package}==" in driver
        assert f"\n{package}==" in executor
    for package in ("sqlalchemy", "kafka-python", "psycopg2-binary"):
        assert f"\n{package}==" in driver
        assert f"\n{package}==" not in executor
    assert "--hash=sha256:" in executor


def test_where_the_cluster_has_spark_the_driver_gets_all_but_that(tmp_path: Path) -> None:
    written = {path.name: path.read_text() for path in build(tmp_path) if path.suffix == ".txt"}
    driver, cluster = (set(written[name].split("\n")) for name in ("driver.txt", "cluster-driver.txt"))
    assert cluster < driver
    packages = re.compile(r"^[a-z0-9-]+(?===)", re.MULTILINE)
    lacking = set(packages.findall(written["driver.txt"])) - set(packages.findall(written["cluster-driver.txt"]))
    assert lacking == {"pyspark", "py4j"}


def test_the_schemas_of_telemetry_are_read_from_the_zip(tmp_path: Path) -> None:
    archive, _ = write_program(tmp_path)
    reads = (
        "from bytemeter.feeds.telemetry import EIDS; from bytemeter.telemetry import schema_files as s; "
        "print(s.__file__, len([s.ours(eid) for eid in EIDS]), len(s.parts()['$defs']) > 5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); {reads}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [f"{archive}/bytemeter/telemetry/schema_files.py", "17", "True"]
