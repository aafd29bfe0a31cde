"""Files of a job as they are laid out for an upload: named by their content."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.shipping import Shipment, ship
from bytemeter.versions import RELEASES


def shipped(cache: Path, *files: Path, job: str = "hourly", spark: str = "4.0") -> Shipment:
    return ship(job, spark=spark, code="gs://code/x/", cache=cache, files=files)


def names(cache: Path) -> set[str]:
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


def test_the_same_content_has_the_same_names_and_another_one_has_others(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("one")
    first = shipped(tmp_path / "cache", authority)
    before = names(tmp_path / "cache")
    assert shipped(tmp_path / "cache", authority) == first
    assert names(tmp_path / "cache") == before
    authority.write_text("two")
    second = shipped(tmp_path / "cache", authority)
    assert second.folder != first.folder
    assert (second.main, second.archive, second.jars) == (first.main, first.archive, first.jars)
    assert second.files != first.files
    assert (first.folder / first.files[0]).read_text() == "one"
    assert second.uri(second.files[0]) == f"gs://code/x/{hashlib.sha256(b'two').hexdigest()[:16]}/ca.pem"


def test_two_commands_at_once_leave_whole_files_and_nothing_else(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        shipments = list(pool.map(lambda _: shipped(tmp_path), range(4)))
    (shipment,) = set(shipments)
    files = {path.relative_to(shipment.folder).as_posix() for path in shipment.folder.rglob("*") if path.is_file()}
    assert files == {shipment.main, shipment.archive, *shipment.jars}
    assert names(tmp_path) == {f"shipped/{shipment.folder.name}/{path}" for path in files}
    for path in files:
        assert hashlib.sha256((shipment.folder / path).read_bytes()).hexdigest().startswith(path.partition("/")[0])


def test_each_spark_gets_its_own_connectors(tmp_path: Path) -> None:
    for spark, release in RELEASES.items():
        jars = {Path(jar).name for jar in shipped(tmp_path, spark=spark).jars}
        assert {"-".join(jar.split(":")[1:]) + ".jar" for jar in (release.kafka, release.delta)} < jars
    with pytest.raises(BytemeterError, match=r"Spark 4.2 is not supported"):
        shipped(tmp_path, spark="4.2")
