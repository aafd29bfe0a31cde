"""The journal keeps what it has acknowledged, in order, within its bound, whatever ends the process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from ingest.collector.journal import Journal, JournalFullError

Open = Callable[..., Journal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the test's journal; the one before is closed, as is the last one at the end."""
    before: list[Journal] = []

    def journal(most_bytes: int = 10**6, **options: int) -> Journal:
        while before:
            before.pop().close()
        before.append(Journal(tmp_path, most_bytes, **options))
        return before[0]

    yield journal
    before.pop().close()


def drained(journal: Journal) -> list[bytes]:
    """All records, taken out segment by segment."""
    records: list[bytes] = []
    while (segment := journal.oldest()) is not None:
        records += journal.read(segment)
        journal.remove(segment)
    return records


def test_records_come_back_in_order_over_segments_and_processes(tmp_path: Path, opened: Open) -> None:
    given = [bytes([n]) * n for n in range(200)]
    for start in range(0, 200, 50):
        journal = opened(segment_bytes=1_000)
        for record in range(start, start + 50):
            journal.append([given[record]])
    journal = opened(segment_bytes=1_000)
    assert len(list(tmp_path.glob("*.journal"))) > 10
    assert journal.size == sum(len(record) + 8 for record in given)
    assert drained(journal) == given
    assert journal.empty
    assert journal.size == 0
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_is_appended_while_the_oldest_segment_is_read_comes_after_it(tmp_path: Path, opened: Open) -> None:
    journal = opened()
    journal.append([b"1", b"2"])
    segment = journal.oldest()
    journal.append([b"3"])
    assert segment is not None
    assert list(journal.read(segment)) == [b"1", b"2"]
    journal.remove(segment)
    assert not journal.empty
    assert drained(journal) == [b"3"]


@pytest.mark.parametrize("left", range(1, 18))
def test_a_torn_last_record_is_cut_off_wherever_it_was_torn(tmp_path: Path, opened: Open, left: int) -> None:
    journal = opened()
    journal.append([b"whole"])
    journal.append([b"torn-record"])
    (segment,) = tmp_path.glob("*.journal")
    os.truncate(segment, 13 + left)
    journal = opened()
    journal.append([b"later"])
    assert drained(journal) == [b"whole", b"later"]
    assert not list(tmp_path.glob("*.damaged"))


def test_a_damaged_segment_gives_what_is_before_the_damage_and_is_kept(tmp_path: Path, opened: Open) -> None:
    journal = opened(segment_bytes=1)
    for record in (b"first", b"second"):
        journal.append([record])
    damaged, _ = sorted(tmp_path.glob("*.journal"))
    content = damaged.read_bytes().replace(b"first", b"fi%st")
    damaged.write_bytes(content)
    assert drained(opened()) == [b"second"]
    assert damaged.with_suffix(".damaged").read_bytes() == content


def test_at_its_bound_it_takes_no_more_and_none_of_a_batch_that_does_not_fit(tmp_path: Path, opened: Open) -> None:
    journal = opened(40)
    journal.append([b"x" * 10])
    with pytest.raises(JournalFullError, match="18 bytes, of at most 40"):
        journal.append([b"y", b"z" * 10])
    journal.append([b"z" * 14])
    assert not journal.has_room()
    assert drained(journal) == [b"x" * 10, b"z" * 14]
    assert journal.has_room(40)


def test_a_failed_sync_keeps_what_was_safe_and_nothing_of_the_batch(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened()
    journal.append([b"safe"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _no_space)
        with pytest.raises(JournalFullError, match="No space left on device"):
            journal.append([b"lost"])
    journal.append([b"later"])
    assert drained(journal) == [b"safe", b"later"]
    assert journal.size == 0


def test_a_disk_that_becomes_read_only_costs_what_was_not_safe_alone(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened()
    journal.append([b"safe"])
    with monkeypatch.context() as patched:
        # What was written cannot be cut away either.
        patched.setattr(os, "fsync", _no_space)
        patched.setattr(os, "truncate", _no_space)
        for _ in range(2):
            with pytest.raises(JournalFullError, match="cannot be written"):
                journal.append([b"unsafe"])
    journal.append([b"later"])
    # Of what no client was told that it is accepted, the journal may send something.
    assert [record for record in drained(journal) if record != b"unsafe"] == [b"safe", b"later"]
    assert journal.size == 0


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_journal_belongs_to_one_process(tmp_path: Path, opened: Open) -> None:
    opened()
    with pytest.raises(BytemeterError, match="another process uses the journal"):
        Journal(tmp_path, 10**6)
    opened()
    (tmp_path / "file").touch()
    with pytest.raises(BytemeterError, match="cannot be written"):
        Journal(tmp_path / "file", 10**6)
