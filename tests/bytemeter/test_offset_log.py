"""The end offsets that Spark writes before it runs a micro-batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bytemeter.offset_log import OffsetLog, offsets_option


def written(folder: Path, *lines: str) -> OffsetLog:
    """A log whose micro-batch 3 has these lines."""
    (folder / "offsets").mkdir()
    (folder / "offsets" / "3").write_text("\n".join(lines))
    return OffsetLog(folder)


def test_the_offsets_of_one_topic_by_partition(tmp_path: Path) -> None:
    log = written(tmp_path, "v1", "{}", '{"a": {"10": 7, "2": 5}}', '{"b": {"0": 1}}', "-")
    assert list(log.end_offsets(3, "a").items()) == [(2, 5), (10, 7)]
    assert log.end_offsets(3, "b") == {0: 1}


def test_a_source_that_has_no_offsets_yet(tmp_path: Path) -> None:
    assert written(tmp_path, "v1", "{}", "-").end_offsets(3, "a") == {}


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has version v2, expected v1"):
        written(tmp_path, "v2", "{}", "-").end_offsets(3, "a")


def test_the_option_names_the_topic_and_its_partitions() -> None:
    assert json.loads(offsets_option("a", {0: 5, 1: 0})) == {"a": {"0": 5, "1": 0}}
