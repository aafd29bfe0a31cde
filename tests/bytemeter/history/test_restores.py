"""What others do to a table never becomes a silent gap: it is found by what the table holds, and refused or handled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DEVICES
from bytemeter.history import delta
from bytemeter.history.ends import Ends
from bytemeter.history.feed_table import addition
from bytemeter.history.table import History
from tests.histories import written
from tests.messages import agreement_document, device


@pytest.fixture
def history(spark: SparkSession, tmp_path: Path) -> History:
    """A history of devices with two commits, the versions 1 and 2."""
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    for end in (1, 2):
        history.append(written(history, device()), {0: end}, after={0: end - 1} if end > 1 else {}, topic_id="t")
    return history


def restore(history: History, version: int) -> None:
    history.session.sql(f"restore table delta.`{history.path}` to version as of {version}")


def as_earlier_release(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit as a release that left its end offsets in the log only."""
    monkeypatch.setattr(
        Ends, "transactions",
        lambda self, end, **_: delta.Transactions(self.application, -1, {self.application: sum(end.values())}, "none"),
    )  # fmt: skip
    history.append(written(history, device()), {0: 1}, after={})
    monkeypatch.undo()


def test_an_older_version_that_was_brought_back_is_refused_until_the_newer_one_is_back(history: History) -> None:
    restore(history, 1)
    lost = (
        r"devices was restored to version 1, which lacks records that were committed since; bring them back by "
        r"`RESTORE TABLE delta\.`.*/devices` TO VERSION AS OF 2`"
    )
    with pytest.raises(BytemeterError, match=lost):
        history.end_offsets()
    with pytest.raises(BytemeterError, match=lost):
        history.append(written(history, device()), {0: 3}, after={0: 2})
    restore(history, 2)
    assert history.end_offsets() == {0: 2}
    history.append(written(history, device()), {0: 3}, after={0: 2})
    restore(history, 3)  # to the lost version, from where there is more
    with pytest.raises(BytemeterError, match="restored to version 3"):
        history.end_offsets()


def forget_log(history: History) -> None:
    """Delete the log before a checkpoint, as Delta does once the retention has passed."""
    for comment in ("by another", "by a third one"):
        delta.set_properties(history.session, history.path, {"comment": comment})
    delta.checkpoint(history.session, history.path)
    *older, _ = sorted((Path(history.path) / "_delta_log").glob("0*.json"))
    for file in older:
        file.unlink()


def test_an_older_version_that_was_brought_back_is_refused_also_if_the_log_does_not_tell(history: History) -> None:
    restore(history, 1)
    forget_log(history)
    with pytest.raises(BytemeterError, match=r"devices holds 1 records, its last writer has left 2: an older version"):
        history.end_offsets()
    with pytest.raises(BytemeterError, match="holds 1 records"):
        history.append(written(history, device()), {0: 3}, after={0: 2})


def test_rows_that_were_deleted_on_purpose_are_known_with_the_next_commit(history: History) -> None:
    history.session.sql(f"delete from delta.`{history.path}` where offset < 1")
    history.append(written(history, device()), {0: 3}, after={0: 2})
    forget_log(history)
    assert history.end_offsets() == {0: 3}
    history.append(written(history, device()), {0: 4}, after={0: 3})


@pytest.mark.parametrize("release", ["this", "earlier"])
@pytest.mark.parametrize("metadata", ["deployed by hand", '"endOffsets"', "[]", '{"endOffsets": "all"}'])
def test_commits_and_notes_of_others_hide_nothing_however_many_there_are(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, metadata: str
) -> None:
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    if release == "earlier":
        as_earlier_release(history, monkeypatch)
    else:
        history.append(written(history, device()), {0: 1}, after={})
    # As others write them, without files: 51 commits by Spark take a minute.
    told = {
        "commitInfo": {"timestamp": 0, "operation": "OPTIMIZE", "operationParameters": {}, "userMetadata": metadata}
    }
    for version in range(2, 53):
        (Path(history.path) / "_delta_log" / f"{version:020}.json").write_text(json.dumps(told) + "\n")
    assert history.end_offsets() == {0: 1}
    history.keep_end_offsets()
    assert history.end_offsets() == {0: 1}


def test_files_of_which_no_commit_says_where_they_end_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    files = written(history, device())
    delta.replace(spark, history.path, [], [addition(file, data_change=True) for file in files])
    with pytest.raises(BytemeterError, match="has files, but no commit of its log says up to which offsets"):
        history.end_offsets()


def test_a_topic_with_another_id_is_refused_in_one_line(history: History) -> None:
    history.require_topic("t", topic="devices")
    with pytest.raises(BytemeterError, match=r"topic devices was re-created: its id is u, the history in .* has t; "):
        history.require_topic("u", topic="devices")


def test_a_column_that_messages_may_lack_is_added_to_a_table_of_an_earlier_release(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(spark, str(tmp_path), AGREEMENTS)
    with monkeypatch.context() as earlier:
        columns = StructType([column for column in history.columns if column.name != "effectiveFrom"])
        earlier.setattr(History, "columns", property(lambda _: columns))
        history.create()
    history.create()
    history.append(written(history, agreement_document()), {0: 1}, after={})
    (row,) = history.read().collect()
    assert row.effectiveFrom is None
