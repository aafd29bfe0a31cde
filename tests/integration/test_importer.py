"""Files are imported: each line is in the topic and counted once, whatever its format, and however often an import dies."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from sqlalchemy import Engine, text

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from embedded.home import Home
from embedded.stack import EmbeddedStack
from ingest.importer.importing import Import, import_file
from ingest.importer.mapping import MAPPINGS
from ingest.importer.places import Place
from ingest.importer.runs import Options, run_import
from tests import call_records
from tests.buckets import FOLDER_AND_BUCKET
from tests.builders import agreement
from tests.call_records import MAPPING, MODULE, SAMPLE, SAMPLED
from tests.record_files import SAMPLES, line
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]
DEADLINE_S = 60
MANIFEST = "select name, lines, accepted, invalid, repeated, state from imports order by started_at, name"


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


def imported(place: Settings, root: str, **options: Any) -> list[str]:
    """Import what waits; returns the lines that were told."""
    told: list[str] = []
    run_import(place, Options(root, **options), threading.Event(), told.append)
    return told


def consumer(place: Settings, isolation: str) -> tuple[Consumer, list[TopicPartition]]:
    topic = place.topic_prefix + "data-records"
    options = {"group.id": "tests", "isolation.level": isolation, "enable.partition.eof": True}
    reader = Consumer({"bootstrap.servers": place.kafka, **options})
    partitions = reader.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
    return reader, [TopicPartition(topic, partition, 0) for partition in partitions]


def size(place: Settings) -> int:
    """How many messages and markers the topic has, also of transactions that are open or aborted."""
    latest = Kafka(place).describe(f"{place.topic_prefix}data-records")
    assert latest is not None
    return sum(latest.latest.values())


def received(place: Settings) -> list[bytes]:
    """The committed messages of the topic; no transaction is open."""
    reader, partitions = consumer(place, "read_committed")
    reader.assign(partitions)
    values: list[bytes] = []
    ended: set[int | None] = set()
    deadline = time.monotonic() + DEADLINE_S
    while len(ended) < len(partitions):
        for message in reader.consume(10_000, timeout=0.1):
            if message.error() is None:
                values.append(message.value() or b"")
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF
                ended.add(message.partition())
        assert time.monotonic() < deadline
    reader.close()
    return values


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
    write(root, "zz-empty", b"")
    with pytest.raises(BytemeterError, match="^1 of the files could not be imported"):
        imported(as_writer, root)
    assert [row[1:] for row in rows(MANIFEST) if not row[0].startswith("zz")] == [(2, 2, 0, 0, "done")] * 4
    assert ("zz-empty", 0, 0, 0, 0, "done") in rows(MANIFEST)
    assert len(received(as_writer)) == 8
    noted = rows("select sum(last_offset - first_offset + 1) from import_offsets")
    assert noted[0][0] >= 8
    # The same content, packed and under another name, is told and not sent again.
    write(root, "again.gz", gzip.compress(SAMPLES["ndjson"]))
    (told,) = imported(as_writer, root)
    assert "imported before, as ndjson.data for the feed data-records; not sent again" in told
    assert len(received(as_writer)) == 8
    files, path = opened(root)
    names = {name.removeprefix(f"{path}/") for name in files.find(path)}
    assert names == {
        "tmp-unfinished", ".hidden", "failed/zz-broken.gz", "failed/zz-broken.gz.report.csv", "done/again.gz",
        "done/zz-empty", *(f"done/{format_}.data" for format_ in SAMPLES),
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


def test_call_detail_records_are_imported_by_their_schema_each_once(
    as_writer: Settings, tmp_path: Path, rows: Rows
) -> None:
    bad = call_records.encoded()[:-3]
    files = {
        "sample": SAMPLE.read_bytes(),
        "packed": gzip.compress(call_records.file_of(call_records.encoded(), bad, later=True)),
        "zz-cut": SAMPLE.read_bytes()[:-1],
    }
    for name, content in files.items():
        write(str(tmp_path), name, content)
    options = ["--format", "asn1", "--schema", str(MODULE), "--mapping", str(MAPPING)]
    with importing(as_writer, tmp_path, *options) as running:
        _, told = running.communicate(timeout=DEADLINE_S)
    assert (running.returncode, told.decode().count("\n")) == (1, 1), told
    assert rows(MANIFEST) == [
        ("packed", 2, 1, 1, 0, "done"), ("sample", SAMPLED, SAMPLED, 0, 0, "done"), ("zz-cut", 0, 0, 0, 0, "failed"),
    ]  # fmt: skip
    report = (tmp_path / "done/packed.report.csv").read_text().splitlines()
    assert report[1].startswith('2,"no record of the schema: ')
    assert "its header says" in (tmp_path / "failed/zz-cut.report.csv").read_text()
    records = [json.loads(value) for value in received(as_writer)]
    assert {record["id"] for record in records} == {"7/1", *(f"{1_000 + number}/1" for number in range(SAMPLED))}
    assert len({record["internalId"] for record in records}) == len(records) == SAMPLED + 1
    # The same content, packed: it is known.
    write(str(tmp_path), "again", gzip.compress(files["sample"]))
    (told_again,) = imported(as_writer, str(tmp_path), format="asn1", schema=MODULE, mapping=MAPPING)
    assert "imported before, as sample" in told_again


def test_a_file_that_failed_is_tried_again_when_it_comes_again(as_writer: Settings, tmp_path: Path, rows: Rows) -> None:
    write(str(tmp_path), "records", f"{line(1)}\n{line(2)}\n".encode())
    with pytest.raises(BytemeterError, match="^1 of the files"):
        imported(as_writer, str(tmp_path), format="ndjson")
    assert rows(MANIFEST) == [("records", 2, 0, 2, 0, "failed")]
    (tmp_path / "failed/records").rename(tmp_path / "records")
    (told,) = imported(as_writer, str(tmp_path))
    assert told == "records: 2 lines: 2 accepted, 0 invalid, 0 repeated; moved to done/records"
    assert rows(MANIFEST) == [("records", 2, 2, 0, 0, "done")]
    assert len(received(as_writer)) == 2


def test_a_database_that_is_away_ends_the_import_with_one_line(as_writer: Settings, tmp_path: Path) -> None:
    write(str(tmp_path), "records", line(1).encode())
    command = [*importing_command(as_writer, tmp_path)]
    environment = importing_environment(as_writer) | {"BYTEMETER_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 1
    assert re.fullmatch(r"bytemeter: PostgreSQL at 127\.0\.0\.1:1/x cannot be reached: .*\n", ended.stderr)
    assert (tmp_path / "records").exists()


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


def test_an_import_that_is_killed_around_its_commit_and_at_a_random_place_is_exact_also_behind_the_horizon(
    as_writer: Settings, tmp_path: Path, rows: Rows, put: Callable[..., None], stream: Callable[..., None]
) -> None:
    count, chance = 150_000, random.Random(SEED)
    # The stream has seen records of today: those of last year are behind its horizon, it deduplicates none of them.
    now = dt.datetime.now(dt.UTC)
    plans = [agreement(f"a-{n}", msisdn=f"48{n}", maxBytesInBillingPeriod=10**9) for n in range(10)]
    put(plans, topic="agreements")
    for partition in range(as_writer.partitions):
        put([as_record(f"new-{partition}", "480", now.isoformat())], partition, "data-records")
    stream(AGREEMENTS, DATA_RECORDS, history=False)
    at = f"{now.year - 1}-11-08T12:00:00Z"
    content = "\n".join(line(number, at=at, msisdn=f"48{number % 10}") for number in range(count))
    write(str(tmp_path), "records.zst", pa.compress(content.encode(), "zstd", asbytes=True))
    # Around its commit it takes luck to strike an import from without.
    for moment in ("before", "after"):
        command = [sys.executable, "-c", KILLED, moment, *importing_command(as_writer, tmp_path)[3:]]
        killed = subprocess.run(command, env=importing_environment(as_writer), timeout=DEADLINE_S, check=False)
        assert killed.returncode == -signal.SIGKILL
    with importing(as_writer, tmp_path) as running:
        wait_for_more(as_writer, running)
        threading.Event().wait(chance.uniform(0, 1.2))
        running.kill()
    with importing(as_writer, tmp_path) as running:
        assert running.wait(DEADLINE_S) == 0
    assert rows(MANIFEST) == [("records.zst", count, count, 0, 0, "done")]
    ids = [json.loads(value)["id"] for value in received(as_writer)]
    assert len(ids) == len(set(ids)) == count + as_writer.partitions
    stream(AGREEMENTS, DATA_RECORDS, history=False)
    account = "select sum(received), sum(counted), sum(behind_horizon) from ledger where feed = 'data-records'"
    assert rows(account) == [(len(ids), len(ids), count)]
    assert rows("select sum(total_recorded_bytes) from data_plan_usage") == [(len(ids),)]


def test_an_import_that_was_overtaken_ends_with_one_line_and_sends_nothing_more(
    as_writer: Settings, tmp_path: Path, rows: Rows
) -> None:
    count = 400_000
    write(str(tmp_path), "records", "\n".join(line(number) for number in range(count)).encode())
    quick = as_writer.model_copy(update={"lease_s": 1})
    with importing(as_writer, tmp_path, BYTEMETER_LEASE_S="1") as frozen:
        assert wait_for_more(as_writer, frozen)
        frozen.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + DEADLINE_S
        while not (tmp_path / "done/records").exists():
            imported(quick, str(tmp_path))
            assert time.monotonic() < deadline
        frozen.send_signal(signal.SIGCONT)
        _, told = frozen.communicate(timeout=DEADLINE_S)
        assert frozen.returncode == 1
    # Kafka refuses it, or PostgreSQL, whose session the other has ended.
    assert re.fullmatch(r"bytemeter: .+\n", told.decode()), told
    assert rows(MANIFEST) == [("records", count, count, 0, 0, "done")]
    assert len(set(received(as_writer))) == len(received(as_writer)) == count


def test_kafka_that_stops_answering_ends_the_import_and_the_next_one_is_exact(
    as_writer: Settings, servers: Settings, engine: Engine, tmp_path: Path, rows: Rows
) -> None:
    count = 300_000
    write(str(tmp_path), "records", "\n".join(line(number) for number in range(count)).encode())
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    kafka = broker.daemon.process()
    assert kafka is not None
    job = Import(Place(str(tmp_path)), MAPPINGS["data-records"], engine, Kafka(as_writer), 3, timeout_s=2)
    frozen = threading.Event()

    def freeze(lines: int, _read: int, _size: int) -> None:
        if lines > count // 4 and not frozen.is_set():
            kafka.suspend()
            frozen.set()

    try:
        with pytest.raises(
            TransientError, match=r"did not take records for the topic \S+ within 2 s: .*run the import again"
        ):
            import_file(replace(job, progress=freeze), "records")
    finally:
        kafka.resume()
    assert (tmp_path / "records").exists()
    wait_for(lambda: succeeds(as_writer, tmp_path))
    assert rows(MANIFEST) == [("records", count, count, 0, 0, "done")]
    assert len(set(received(as_writer))) == len(received(as_writer)) == count


def test_a_manifest_that_was_lost_or_is_behind_is_brought_up_to_what_kafka_has_committed(
    as_writer: Settings, engine: Engine, tmp_path: Path, rows: Rows
) -> None:
    content = "\n".join([*(line(number) for number in range(100)), "rubbish"]).encode()
    write(str(tmp_path), "records", content)
    imported(as_writer, str(tmp_path))
    offsets = rows("select partition, first_offset, last_offset from import_offsets order by 1")
    with engine.begin() as connection:
        connection.execute(text("delete from import_offsets"))
        connection.execute(text("delete from imports"))
    write(str(tmp_path), "again", content)
    (told,) = imported(as_writer, str(tmp_path))
    assert told == "again: 101 lines: 100 accepted, 1 invalid, 0 repeated; moved to done/again"
    assert (tmp_path / "done/again.report.csv").exists()
    assert rows(MANIFEST) == [("again", 101, 100, 1, 0, "done")]
    assert rows("select partition, first_offset, last_offset from import_offsets order by 1") == offsets
    assert len(received(as_writer)) == 100


def test_watching_takes_a_file_once_it_is_renamed_shows_a_bar_and_ends_on_a_signal(
    as_writer: Settings, tmp_path: Path, rows: Rows
) -> None:
    terminal, end = os.openpty()
    count = 200_000
    write(str(tmp_path), "tmp-records", "\n".join(line(number) for number in range(count)).encode())
    with (
        ThreadPoolExecutor(1) as reading,
        importing(as_writer, tmp_path, "--watch", stderr=end, TERM="xterm", COLUMNS="100") as running,
    ):
        read = reading.submit(shown_on, terminal)
        os.close(end)
        write(str(tmp_path), "tmp-first", line(count).encode())
        (tmp_path / "tmp-first").rename(tmp_path / "first")
        wait_for((tmp_path / "done/first").exists)
        assert (tmp_path / "tmp-records").exists()
        (tmp_path / "tmp-records").rename(tmp_path / "records")
        wait_for((tmp_path / "done/records").exists)
        running.send_signal(signal.SIGTERM)
        assert running.wait(DEADLINE_S) == 0
        shown = read.result()
    assert re.search(r"[1-9][\d,]* lines, [1-9][\d,]*/s", shown), shown
    assert re.search(r"\d:\d\d:\d\d", shown), shown
    assert rows("select sum(accepted), count(*) from imports where state = 'done'") == [(count + 1, 2)]


def succeeds(place: Settings, folder: Path) -> bool:
    """Import what waits; returns whether Kafka has answered."""
    try:
        return bool(imported(place, str(folder)))
    except TransientError:
        return False


def shown_on(terminal: int) -> str:
    shown = b""
    try:
        while piece := os.read(terminal, 65_536):
            shown += piece
    except OSError:
        # The other end is closed, and all of it is read.
        pass
    os.close(terminal)
    return shown.decode()


def as_record(id_: str, msisdn: str, at: str) -> bytes:
    return json.dumps({"id": id_, "msisdn": msisdn, "recordedAt": at, "recordedBytes": 1}).encode()


# The command, which kills itself just before or after Kafka has committed its first transaction, of few lines.
KILLED = """
import os, signal, sys
from cli.main import main
from ingest.importer import sending
from bytemeter.transactions import TransactionalProducer

sending._TRANSACTION_S = 0.1
moment, call = sys.argv.pop(1), TransactionalProducer._call

def called(self, client):
    ends = getattr(client, "__name__", "") == "commit_transaction"
    answer = None if ends and moment == "before" else call(self, client)
    if ends:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

TransactionalProducer._call = called
sys.exit(main())
"""


def importing_command(place: Settings, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "cli", "--kafka", str(place.kafka), "import", str(folder), *options]


def importing_environment(place: Settings) -> dict[str, str]:
    return {
        "BYTEMETER_DATABASE_URL": place.require_database_url(),
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "PATH": "/usr/bin:/bin",
    }


def importing(
    place: Settings, folder: Path, *options: str, stderr: int = subprocess.PIPE, **environment: str
) -> subprocess.Popen[bytes]:
    """``bytemeter import`` as a process of its own."""
    command = importing_command(place, folder, *options)
    return subprocess.Popen(command, env=importing_environment(place) | environment, stderr=stderr)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def wait_for_more(place: Settings, running: subprocess.Popen[bytes]) -> bool:
    """Wait until messages come to the topic, or the import ends; returns whether messages came."""
    before = size(place)
    # An aborted transaction of an earlier import adds a marker to each partition.
    wait_for(lambda: size(place) > before + place.partitions or running.poll() is not None)
    return running.poll() is None
