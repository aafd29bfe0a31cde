"""Files are imported: each line is counted once, whatever their format, and however often an import dies."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from ingest.importer.places import Place
from ingest.importer.runs import Options, run_import
from tests.buckets import FOLDER_AND_BUCKET
from tests.ingest.importer.test_readers import SAMPLES
from tests.integration import oracle
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]
DEADLINE_S = 60
MANIFEST = "select name, lines, accepted, invalid, repeated, state from imports order by started_at, name"


def line(number: int, **changes: str) -> str:
    cells = {"id": f"r-{number}", "at": "2026-11-08T12:00:00+01:00", "msisdn": f"48{number % 1_000}", "bytes": "1"}
    return ";".join({**cells, **changes}.values())


def opened(root: str) -> tuple[Any, str]:
    """The file system of a place, and the path of the place there."""
    # The importer goes first: it has gcsfs leave out what an emulator cannot answer.
    options = {"token": "anon"} if root.startswith("gs:") else {}
    Place(root) if options else Path(root).mkdir(parents=True, exist_ok=True)
    files, path = fsspec.core.url_to_fs(root, use_listings_cache=False, **options)
    return files, path


def write(root: str, name: str, content: bytes) -> None:
    files, path = opened(root)
    with files.open(f"{path}/{name}", "wb") as file:
        file.write(content)


def imported(place: Settings, root: str, stop: threading.Event | None = None) -> list[str]:
    """Import what waits; returns the lines that were told."""
    told: list[str] = []
    run_import(place, Options(root), stop or threading.Event(), told.append)
    return told


def received(place: Settings) -> list[bytes]:
    return [message.value for message in oracle.received(place, "data-records")]


@FOLDER_AND_BUCKET
def test_files_of_a_folder_or_a_bucket_are_imported_once_and_moved(
    as_writer: Settings, history_root: str, rows: Rows
) -> None:
    root = f"{history_root.rpartition('/')[0]}/in"
    for format_, content in SAMPLES.items():
        write(root, f"{format_}.data", content)
    write(root, "tmp-unfinished", SAMPLES["lines"])
    write(root, ".hidden", SAMPLES["lines"])
    write(root, "zz-broken.gz", gzip.compress(SAMPLES["lines"] * 100)[:-20])
    with pytest.raises(BytemeterError, match="^1 of the files could not be imported"):
        imported(as_writer, root)
    assert [row[1:] for row in rows(MANIFEST) if row[0] != "zz-broken.gz"] == [(2, 2, 0, 0, "done")] * 4
    assert len(received(as_writer)) == 8
    noted = rows("select sum(last_offset - first_offset + 1) from import_offsets")
    assert noted[0][0] >= 8
    # The same content, packed and under another name, is told and not sent again.
    write(root, "again.gz", gzip.compress(SAMPLES["ndjson"]))
    (told,) = imported(as_writer, root)
    assert "imported before, as ndjson.data; not sent again" in told
    assert len(received(as_writer)) == 8
    files, path = opened(root)
    names = {name.removeprefix(f"{path}/") for name in files.find(path)}
    assert names == {
        "tmp-unfinished", ".hidden", "failed/zz-broken.gz", "failed/zz-broken.gz.report.csv", "done/again.gz",
        *(f"done/{format_}.data" for format_ in SAMPLES),
    }  # fmt: skip


def test_bad_and_repeated_lines_cost_themselves_alone(as_writer: Settings, tmp_path: Path, rows: Rows) -> None:
    lines = [line(1), line(2, bytes="-1"), "rubbish", line(1), line(3, at="yesterday"), line(4)]
    write(str(tmp_path), "records", "\n".join(lines).encode())
    (told,) = imported(as_writer, str(tmp_path))
    assert told == "records: 6 lines: 2 accepted, 3 invalid, 1 repeated; moved to done/records"
    assert rows(MANIFEST) == [("records", 6, 2, 3, 1, "done")]
    assert (tmp_path / "done/records.report.csv").read_text().splitlines() == [
        "line,reason",
        "2,negative recordedBytes",
        '3,"expected id;recordedAt;msisdn;recordedBytes, found 1 of 4 cells"',
        "5,recordedAt is not a zoned instant",
    ]


def test_two_imports_of_one_folder_at_once_count_each_line_once(
    as_writer: Settings, tmp_path: Path, rows: Rows
) -> None:
    for number in range(6):
        text = "\n".join(line(n) for n in range(2_000 * number, 2_000 * (number + 1)))
        write(str(tmp_path), f"records-{number}", text.encode())
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(imported, as_writer, str(tmp_path)) for _ in range(2)]
        for run in runs:
            run.result()
    imported(as_writer, str(tmp_path))
    assert rows("select count(*), sum(accepted), min(state) from imports") == [(6, 12_000, "done")]
    values = received(as_writer)
    assert len(values) == len(set(values)) == 12_000
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_an_import_that_is_killed_at_random_places_and_repeated_counts_each_line_once(
    as_writer: Settings, tmp_path: Path, rows: Rows, stream: Callable[..., None]
) -> None:
    count, chance = 400_000, random.Random(SEED)
    # Few event hours, recent ones: within the horizon of the stream.
    at = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime())
    text = "\n".join(line(number, at=at) for number in range(count))
    write(str(tmp_path), "records.zst", pa.compress(text.encode(), "zstd", asbytes=True))
    kills = 0
    for _ in range(3):
        with importing(as_writer, tmp_path) as running:
            begun = wait_for_more(as_writer, running)
            threading.Event().wait(chance.uniform(0, 0.7))
            kills += running.poll() is None and begun
            running.kill()
            running.wait()
    assert kills, "no kill struck an import"
    with importing(as_writer, tmp_path) as running:
        assert running.wait(DEADLINE_S) == 0
    assert rows(MANIFEST) == [("records.zst", count, count, 0, 0, "done")]
    stream(DATA_RECORDS, history=False)
    account = "select sum(counted + unmatched), sum(invalid), sum(received) from ledger where feed = 'data-records'"
    ((once, invalid, sent),) = rows(account)
    assert (once, invalid) == (count, 0)
    assert sent == len(received(as_writer))


def importing(place: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """``bytemeter import`` as a process of its own."""
    environment = {
        "BYTEMETER_DATABASE_URL": place.require_database_url(),
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "cli", "--kafka", str(place.kafka), "import", str(folder)]
    return subprocess.Popen(command, env=environment)


def wait_for_more(place: Settings, running: subprocess.Popen[bytes]) -> bool:
    """Wait until the topic grows, or the import ends; returns whether it grew."""
    before, deadline = size(place), time.monotonic() + DEADLINE_S
    while size(place) == before:
        assert time.monotonic() < deadline
        if running.poll() is not None:
            return False
    return True


def size(place: Settings) -> int:
    topic = Kafka(place).describe(place.topic_prefix + "data-records")
    return sum(topic.latest.values()) if topic else 0
