"""The offset log of a Spark checkpoint: Spark writes a micro-batch's end offsets there before it runs the batch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

# By partition.
Offsets = dict[int, int]

_VERSION = "v1"
# Stands for a source that has not chosen its first offset yet.
_NO_OFFSETS = "-"


@dataclass(frozen=True)
class OffsetLog:
    """Reads ``offsets/<batch id>`` of a checkpoint on a local disk (format v1: header, metadata, a line per source)."""

    checkpoint: Path

    def end_offsets(self, batch_id: int, topic: str) -> Offsets:
        """By partition the offset after the last one of the topic that the micro-batch reads.

        Empty if the micro-batch reads nothing of the topic.

        Raises:
            ValueError: the log has another version than v1.
        """
        header, _, *sources = (self.checkpoint / "offsets" / str(batch_id)).read_text().splitlines()
        if header != _VERSION:
            raise ValueError(
                f"the offset log of {self.checkpoint} has version {header}, expected {_VERSION}; "
                "run the Spark version that pyproject.toml names"
            )
        by_topic: dict[str, dict[str, int]] = {}
        for source in sources:
            by_topic |= json.loads(source) if source != _NO_OFFSETS else {}
        return dict(sorted((int(partition), offset) for partition, offset in by_topic.get(topic, {}).items()))


def offsets_option(topic: str, offsets: Offsets) -> str:
    """The value of Spark's options ``startingOffsets`` and ``endingOffsets`` with these offsets of a topic."""
    return json.dumps({topic: {str(partition): offset for partition, offset in offsets.items()}})
