"""The live query of the data plans: agreements and data records, counted together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from sqlalchemy import Connection

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, Feed
from bytemeter.plans import outbox
from bytemeter.plans.events import ThresholdEvent
from bytemeter.plans.judging import close_periods
from bytemeter.plans.outbox import Outbox
from bytemeter.plans.watermark import PartitionProgress, watermark
from speed_layer.accounts import accounts, list_invalid
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_query import Account, Count
from speed_layer.executor.blocks import Parts, ToParts
from speed_layer.executor.plans import agreement_parts, record_parts
from speed_layer.plans.counting import count_micro_batch
from speed_layer.plans.owners import OwnerLookup
from speed_layer.plans.records import Records
from speed_layer.plans.tables import create_temporary_tables

SOURCE = "live"
# A few tenths of a second, for which the next micro-batch waits.
_CLOSED_AT_ONCE = 2_000


@dataclass
class DataPlanQuery:
    """Totals per agreement and billing period, thresholds as they are crossed, periods that close.

    Delivery: events are written in the transaction that counts the records that caused them, each once, and published
    after it. Key of the totals: (agreement, period); of the events: their id.

    Attributes:
        grace: how long after its end a period stays open for late records, by event time.
        clock: the wall-clock time that takes over once all partitions are idle, and that no event time passes; None to
            go by event time only.
        identity_horizon: how far behind the watermark data records are deduplicated.
    """

    outbox: Outbox
    grace: dt.timedelta
    clock: Callable[[], dt.datetime] | None
    identity_horizon: dt.timedelta = DEFAULT
    name: str = "data-plans"
    feeds: tuple[Feed, ...] = (AGREEMENTS, DATA_RECORDS)
    _deduplicator: Deduplicator = field(init=False, repr=False)
    _owners: OwnerLookup = field(default_factory=OwnerLookup, init=False, repr=False)
    _written: list[ThresholdEvent] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self._deduplicator = Deduplicator(Horizon.of(DATA_RECORDS, self.identity_horizon))

    def to_parts(self, feed: Feed) -> ToParts:
        """See ``speed_layer.executor.plans``."""
        return agreement_parts if feed is AGREEMENTS else record_parts

    def open(self, connection: Connection) -> None:
        """Create the temporary tables."""
        create_temporary_tables(connection)

    def load(self, connection: Connection) -> None:
        """Read which ids were counted, and the ownership spans of the present."""
        self._deduplicator.load(connection)
        self._owners.load(connection)

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Add up the records by MSISDN, and look for duplicates within the micro-batch."""
        records = Records.of(received[DATA_RECORDS.name]["records"])
        return partial(self._count, received=received, records=records)

    def _count(self, connection: Connection, received: Mapping[str, Parts], records: Records) -> list[Account]:
        for feed, parts in received.items():
            list_invalid(connection, feed, parts["invalid"])
        messages = received[AGREEMENTS.name]["agreements"]
        counted = count_micro_batch(connection, self._deduplicator, self._owners, messages, records)
        self._deduplicator.finish(connection)
        self._write(connection, counted.events)
        received_accounts = [accounts(feed, parts["received"]) for feed, parts in received.items()]
        return [*chain.from_iterable(received_accounts), *counted.accounts]

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:
        """Close the periods whose end and grace the watermark of the data records has passed.

        The clock caps the watermark: records that are ahead of it do not close a period early.
        """
        if not progress[DATA_RECORDS.name]:
            return False
        now = self.clock() if self.clock else None
        event_time = watermark(progress[DATA_RECORDS.name].values(), clock=now)
        if event_time is None:
            return False
        if now is not None:
            event_time = min(event_time, now)
        closed = close_periods(connection, event_time - self.grace, most=_CLOSED_AT_ONCE)
        self._write(connection, closed.events)
        return closed.more

    def rolled_back(self) -> None:
        """Forget the events of the transaction."""
        self._written.clear()

    def committed(self) -> None:
        """Publish the events of the transaction.

        Raises:
            TransientError: Kafka did not take them; they stay in the outbox.
        """
        events, self._written = self._written, []
        if events:
            self.outbox.publish()

    def _write(self, connection: Connection, events: Iterable[ThresholdEvent]) -> None:
        self._written += outbox.write(connection, list(events), source=SOURCE)
