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

    def end(self, batch_id: int, topic: str) -> Offsets:
        """Per partition the offset after the last one of the topic that the micro-batch reads."""
        header, _, *sources = (self.checkpoint / "offsets" / str(batch_id)).read_text().splitlines()
        if header != "v1":
            raise ValueError(f"the offset log of {self.checkpoint} is of version {header}; this reads v1")
        of_topics: dict[str, dict[str, int]] = {}
        for source in sources:
            # A hyphen stands for a source that has not said yet where it begins.
            of_topics |= json.loads(source) if source != "-" else {}
        return {int(partition): offset for partition, offset in sorted(of_topics.get(topic, {}).items())}


def starting_offsets(topic: str, offsets: Offsets) -> str:
    """The offsets as Spark's option ``startingOffsets``."""
    return json.dumps({topic: {str(partition): offset for partition, offset in offsets.items()}})
