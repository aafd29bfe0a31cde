"""The stage that prepares unique events for their rows of the reference tables; runs on executors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from bytemeter.feeds import TELEMETRY_UNIQUE, Feed
from bytemeter.telemetry import topics
from bytemeter.telemetry.enriching import Left, event_of, prepared
from bytemeter.telemetry.outgoing import Outgoing, duplicate, failed

SOURCE = "DruidValidator"
DUPLICATE_FLAG = "dv_duplicate"
_FAILED = {"dv_processed": False, "dv_validation_failed": True}


@dataclass(frozen=True)
class DenormStage:
    """Messages of ``telemetry.unique``, each with the rows that it needs (see ``bytemeter.telemetry.enriching``)."""

    feed: Feed = TELEMETRY_UNIQUE

    def sent_of(self, records: pa.Table) -> Iterator[tuple[int, Outgoing]]:
        """See ``speed_layer.executor.outgoing.Stage``; the driver completes what goes to ``telemetry.denorm``."""
        names = ("value", "reason", "received_us", "device", "actor")
        columns = (records.column(name).to_pylist() for name in names)
        for row, (value, reason, received_us, device, actor) in enumerate(zip(*columns, strict=True)):
            if reason is not None:
                yield row, failed(value, reason, _FAILED, {"dv_error": reason, "src": SOURCE})
                continue
            made, key = prepared(value, received_us), device or actor
            if isinstance(made, Left):
                # It may be a duplicate all the same.
                yield row, Outgoing((), None, value)
            else:
                yield row, Outgoing((topics.DENORM,), key.encode() if key else None, made)

    def repeated(self, key: bytes | None, value: bytes) -> Outgoing:
        """The event with its flag."""
        return duplicate(event_of(value), DUPLICATE_FLAG, key)
