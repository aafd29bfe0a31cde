"""Micro-batches are committed in order while the next one is read, and none after a failed one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from speed_layer.engine.commits import CommitQueue

WAIT_S = 10


@pytest.fixture
def commits() -> Iterator[CommitQueue]:
    commits = CommitQueue()
    yield commits
    commits.close()


def test_a_micro_batch_waits_for_the_commit_of_the_previous_one(commits: CommitQueue) -> None:
    go_on, committed = threading.Event(), []
    commits.submit(lambda: go_on.wait(WAIT_S) and committed.append("first"))
    assert commits.is_committing()
    with ThreadPoolExecutor(1) as reader:
        second = reader.submit(lambda: (commits.submit(lambda: committed.append("second")), "first" in committed))
        assert committed == []
        go_on.set()
        assert second.result(WAIT_S)[1]
    commits.close()
    assert committed == ["first", "second"]
    assert not commits.is_committing()


def test_the_next_micro_batch_is_prepared_while_one_is_committed(commits: CommitQueue) -> None:
    go_on = threading.Event()
    commits.submit(lambda: go_on.wait(WAIT_S) and None)
    assert commits.prepare(lambda: "prepared").result(WAIT_S) == "prepared"
    assert commits.is_committing()
    go_on.set()


def test_nothing_is_committed_after_an_error(commits: CommitQueue) -> None:
    committed: list[str] = []
    commits.submit(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            commits.submit(lambda: committed.append("later"))
    assert isinstance(commits.error(), ZeroDivisionError)
    assert committed == []


def test_closing_waits_for_the_running_commit(commits: CommitQueue) -> None:
    go_on, committed = threading.Event(), []
    commits.submit(lambda: committed.append(go_on.wait(WAIT_S)))
    with ThreadPoolExecutor(1) as closer:
        closing = closer.submit(lambda: (commits.close(), list(committed)))
        go_on.set()
        assert closing.result(WAIT_S)[1] == [True]
    assert commits.error() is None
