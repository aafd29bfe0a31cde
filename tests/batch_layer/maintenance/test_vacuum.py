"""Only files that no reader needs are deleted, and the log is as long as the retention."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.maintenance.compaction import Compaction
from batch_layer.maintenance.job import MaintainJob
from batch_layer.maintenance.vacuum import Listing, Vacuum
from bytemeter.feeds import DEVICES
from bytemeter.history import delta
from bytemeter.history.table import History
from bytemeter.settings import load_settings
from tests.buckets import FOLDER_AND_BUCKET
from tests.histories import keep, written
from tests.messages import device

NOW = dt.datetime.now(dt.UTC)
HOUR = NOW.replace(minute=0, second=0, microsecond=0) - dt.timedelta(days=2)
NINE = [device(timestamp=int(HOUR.timestamp()) + n) for n in range(9)]
AN_HOUR, A_DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def history(spark: SparkSession, history_root: str) -> History:
    """A history of devices with an hour of nine files, which was compacted now."""
    history = History(spark, history_root, DEVICES)
    history.create()
    keep(history, HOUR, 0, *NINE, files=9)
    Compaction(history, NOW, AN_HOUR).run()
    return history


def vacuum(history: History, after: dt.timedelta, retention: dt.timedelta = 7 * A_DAY, *, dry_run: bool = False) -> int:
    """Delete what nobody needs some time after the compaction; returns how many files that were."""
    return len(Vacuum(history, NOW + after, retention, dry_run=dry_run).run(Listing.of(history)))


@FOLDER_AND_BUCKET
def test_versions_within_the_retention_are_still_read(history: History) -> None:
    of_version = history.session.read.format("delta").option("versionAsOf", 1)
    assert vacuum(history, 7 * A_DAY - AN_HOUR) == 0
    assert of_version.load(history.path).count() == 9
    assert vacuum(history, 7 * A_DAY + AN_HOUR, dry_run=True) == 9
    assert vacuum(history, 7 * A_DAY + AN_HOUR) == 9
    assert len(Listing.of(history).data) == 1
    assert history.read().count() == 9


@FOLDER_AND_BUCKET
def test_files_that_were_never_committed_are_deleted_a_day_later_at_the_earliest(history: History) -> None:
    """A writer may be about to commit them."""
    orphans = written(history, device())
    assert vacuum(history, 2 * AN_HOUR, retention=AN_HOUR) == 9
    history.append(orphans, {0: 10}, after={0: 9})
    orphans = written(history, device())
    assert vacuum(history, A_DAY + AN_HOUR, retention=AN_HOUR) == len(orphans)
    assert history.read().count() == 10


@FOLDER_AND_BUCKET
def test_two_at_once_delete_the_same(history: History) -> None:
    listing = Listing.of(history)
    both = [Vacuum(history, NOW + 8 * A_DAY, 7 * A_DAY) for _ in range(2)]
    assert [len(each.run(listing)) for each in both] == [9, 9]
    assert history.read().count() == 9


def test_the_log_is_cleaned_behind_the_retention_and_end_offsets_stay(spark: SparkSession, tmp_path: Path) -> None:
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    keep(history, HOUR, 0, *NINE, files=9)
    for n in range(9, 12):
        # Delta keeps what it needs for versions that are older than the retention, up to a later checkpoint.
        delta.checkpoint(spark, history.path)
        keep(history, HOUR, n, NINE[0])
    old_s = time.time() - 40 * 86_400
    for file in (Path(history.path) / "_delta_log").glob("0*"):
        written_s = old_s + 60 * int(file.name.split(".")[0])
        os.utime(file, (written_s, written_s))
    settings = load_settings(history=str(tmp_path), history_retention_h=24)
    (first,) = MaintainJob(spark, settings, NOW, AN_HOUR).run()
    assert (first.table, first.before, first.after, first.compacted.merged) == ("devices", 12, 1, 12)
    assert first.log_after < first.log_before
    assert f"_delta_log/{0:020}.json" not in Listing.of(history).log
    assert history.end_offsets() == {0: 12}
    assert history.read().count() == 12
    (second,) = MaintainJob(spark, settings, NOW, AN_HOUR).run()
    assert (second.before, second.after, second.log_after) == (1, 1, first.log_after)


def test_a_dry_run_of_the_job_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    keep(history, HOUR, 0, *NINE, files=9)
    before = sorted(Path(tmp_path).rglob("*"))
    settings = load_settings(history=str(tmp_path), history_retention_h=24)
    (would,) = MaintainJob(spark, settings, NOW, AN_HOUR, dry_run=True).run()
    assert (would.before, would.after, would.deleted) == (9, 1, 0)
    assert sorted(Path(tmp_path).rglob("*")) == before
    assert delta.properties(spark, history.path)["delta.logRetentionDuration"] == "interval 604800 seconds"
