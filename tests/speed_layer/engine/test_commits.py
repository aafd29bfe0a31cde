"""CommitQueue beside the reading: in turn, none after one that failed."""

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


def test_one_runs_while_the_next_one_is_made(commits: CommitQueue) -> None:
    go_on, done = threading.Event(), []
    commits.submit(lambda: go_on.wait(WAIT_S) and done.append("first"))
    assert commits.busy()
    with ThreadPoolExecutor(1) as reader:
        second = reader.submit(lambda: (commits.submit(lambda: done.append("second")), "first" in done))
        assert done == []
        go_on.set()
        assert second.result(WAIT_S)[1]
    commits.close()
    assert done == ["first", "second"]
    assert not commits.busy()


def test_the_next_one_is_prepared_while_one_runs(commits: CommitQueue) -> None:
    go_on = threading.Event()
    commits.submit(lambda: go_on.wait(WAIT_S) and None)
    assert commits.prepare(lambda: "prepared").result(WAIT_S) == "prepared"
    assert commits.busy()
    go_on.set()


def test_nothing_is_committed_after_a_failure(commits: CommitQueue) -> None:
    done: list[str] = []
    commits.submit(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            commits.submit(lambda: done.append("later"))
    assert isinstance(commits.failure(), ZeroDivisionError)
    assert done == []


def test_closing_waits_for_the_one_that_runs(commits: CommitQueue) -> None:
    go_on, done = threading.Event(), []
    commits.submit(lambda: done.append(go_on.wait(WAIT_S)))
    with ThreadPoolExecutor(1) as closer:
        closing = closer.submit(lambda: (commits.close(), list(done)))
        go_on.set()
        assert closing.result(WAIT_S)[1] == [True]
    assert commits.failure() is None
