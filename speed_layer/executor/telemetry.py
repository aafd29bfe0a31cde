"""The stages of telemetry: batches into events, and events to the topics of their kind; runs on executors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from bytemeter.feeds import TELEMETRY, TELEMETRY_BATCHES, Feed
from bytemeter.telemetry import batches, stages
from bytemeter.telemetry.batches import Position
from bytemeter.telemetry.outgoing import Outgoing, duplicate
from bytemeter.telemetry.stages import Known
from bytemeter.telemetry.validating import SchemaValidator, Violation


@dataclass(frozen=True)
class BatchStage:
    """Messages of ``telemetry.ingest`` into their events."""

    feed: Feed = TELEMETRY_BATCHES

    def sent_of(self, records: pa.Table) -> Iterator[tuple[int, Outgoing]]:
        """See ``speed_layer.executor.outgoing.Stage``.

        The first message of a batch that may be a duplicate is the batch itself, which goes nowhere.
        """
        names = ("value", "reason", "msgid", "partition", "offset", "received_us")
        columns = (records.column(name).to_pylist() for name in names)
        for row, (value, reason, msgid, *position) in enumerate(zip(*columns, strict=True)):
            if reason is not None:
                yield row, batches.failed_batch(value, reason)
                continue
            if msgid is not None:
                yield row, Outgoing((), None, value)
            for outgoing in batches.sent_of(value, Position(*position)):
                yield row, outgoing

    def repeated(self, key: bytes | None, value: bytes) -> Outgoing:
        """The batch with its flag."""
        return batches.repeated_batch(value, key)


@dataclass(frozen=True)
class EventStage:
    """Messages of ``telemetry.raw`` to the topics of their kind."""

    feed: Feed = TELEMETRY

    def sent_of(self, records: pa.Table) -> Iterator[tuple[int, Outgoing]]:
        """See ``speed_layer.executor.outgoing.Stage``."""
        names = ("value", "reason", "eid", "device", "actor", "content")
        columns = (records.column(name).to_pylist() for name in names)
        for row, (value, reason, eid, *known) in enumerate(zip(*columns, strict=True)):
            if reason is not None:
                yield row, stages.failed_event(value, reason, self._violations(value, eid))
                continue
            for outgoing in stages.sent_of(value, eid, Known(*known)):
                yield row, outgoing

    def repeated(self, key: bytes | None, value: bytes) -> Outgoing:
        """The event with its flag."""
        return duplicate(value, stages.DUPLICATE_FLAG, key)

    def _violations(self, value: bytes | None, eid: str | None) -> list[Violation]:
        """All that the schema of its kind says of an invalid event; none if a rule of the feed refused it."""
        validator = self.feed.kinds.validators.get(eid) if self.feed.kinds and eid is not None else None
        if not isinstance(validator, SchemaValidator) or value is None:
            return []
        try:
            return validator.violations(value)
        except ValueError:
            return []
