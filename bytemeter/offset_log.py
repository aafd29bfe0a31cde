"""Where Spark says up to which offsets a micro-batch goes, before it runs: the offset log of its checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

Offsets = dict[int, int]


@dataclass(frozen=True)
class OffsetLog:
    """Reads ``offsets/<batch id>`` of a checkpoint on a local disk (format v1: header, metadata, a line per source)."""

    checkpoint: Path
    topic: str

    def end(self, batch_id: int) -> Offsets:
        """Per partition the offset after the last one of the micro-batch."""
        lines = (self.checkpoint / "offsets" / str(batch_id)).read_text().splitlines()
        if lines[0] != "v1" or len(lines) != 3:  # noqa: PLR2004 - one source, thus one line after two of header
            raise ValueError(f"the offset log of {self.checkpoint} is not of version v1 with one source: {lines[:1]}")
        of_topic: dict[str, int] = json.loads(lines[2])[self.topic]
        return {int(partition): offset for partition, offset in sorted(of_topic.items())}


def starting_offsets(topic: str, offsets: Offsets) -> str:
    """The offsets as Spark's option ``startingOffsets``."""
    return json.dumps({topic: {str(partition): offset for partition, offset in offsets.items()}})
