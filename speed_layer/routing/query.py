"""The live query of a feed whose messages are counted and sent on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.plans.watermark import PartitionProgress
from speed_layer.engine.live_query import Account, Count
from speed_layer.executor.blocks import Parts, ToParts
from speed_layer.executor.outgoing import OUTGOING, Decided, Stage, keys_of, outgoing_again, stage_parts
from speed_layer.routing.router import Router
from speed_layer.totals.query import CountTotals, TotalsQuery

Keys = npt.NDArray[np.int64]
Complete = Callable[[Connection, pa.Table], pa.Table]


@dataclass
class RoutedQuery:
    """Counts a feed as ``counting`` does, and sends on what its messages became.

    Attributes:
        stage: makes what is sent.
        router: sends it, once the transaction that counted the messages is committed.
        complete: given a connection and the part outgoing, what is sent in its place; None to send it as it is. It may
            ask tables that change: sent again after a crash, such messages may have other bytes.
    """

    stage: Stage
    counting: TotalsQuery
    router: Router
    complete: Complete | None = None

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.counting.name

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The one feed."""
        return self.counting.feeds

    def to_parts(self, feed: Feed) -> ToParts:  # noqa: ARG002
        """See ``speed_layer.executor.outgoing.stage_parts``."""
        return partial(stage_parts, self.stage)

    def to_parts_again(self, decided: Decided) -> ToParts:
        """What was to be sent of messages that are counted already."""
        return partial(outgoing_again, self.stage, decided)

    def open(self, connection: Connection) -> None:
        """See ``TotalsQuery.open``."""
        self.counting.open(connection)

    def load(self, connection: Connection) -> None:
        """See ``TotalsQuery.load``."""
        self.counting.load(connection)

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Find duplicates inside the micro-batch itself."""
        count = self.counting.prepared(received)
        return partial(self._count, count=count, outgoing=received[self.name]["outgoing"])

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:  # noqa: ARG002
        """Note how far messages have been sent."""
        self.router.note(connection)
        return False

    def rolled_back(self) -> None:
        """Send nothing."""
        self.router.forget()

    def committed(self) -> None:
        """Send what the transaction has decided.

        Raises:
            BytemeterError: see ``Router.send``.
        """
        self.router.send()

    def to_send(self, connection: Connection, outgoing: pa.Table, duplicates: Keys) -> pa.Table:
        """What is to be sent: one message for each duplicate in place of all that it would have become.

        Args:
            connection: inside a transaction.
            outgoing: see ``OUTGOING``; the rows of a message are neighbours.
            duplicates: see ``speed_layer.executor.outgoing.keys_of``.
        """
        decided = self._without_duplicates(outgoing, duplicates) if len(duplicates) else outgoing
        return self.complete(connection, decided) if self.complete else decided

    def _without_duplicates(self, outgoing: pa.Table, duplicates: Keys) -> pa.Table:
        keys = keys_of(outgoing.column("partition").to_numpy(), outgoing.column("record_offset").to_numpy())
        is_duplicate = np.isin(keys, duplicates)
        is_first = np.ones(len(keys), bool)
        is_first[1:] = keys[1:] != keys[:-1]
        repeated = self._repeated(outgoing.filter(pa.array(is_duplicate & is_first)))
        return pa.concat_tables([outgoing.filter(pa.array(~is_duplicate)), repeated])

    def _count(self, connection: Connection, count: CountTotals, outgoing: pa.Table) -> list[Account]:
        counted = count(connection)
        positions = (counted.duplicates.column(name).to_numpy() for name in ("partition", "record_offset"))
        self.router.decide(connection, self.to_send(connection, outgoing, keys_of(*positions)))
        return counted.accounts

    def _repeated(self, firsts: pa.Table) -> pa.Table:
        pairs = zip(firsts.column("key").to_pylist(), firsts.column("value").to_pylist(), strict=True)
        sent = [self.stage.repeated(key, value) for key, value in pairs]
        columns: dict[str, Any] = {
            **{name: firsts.column(name) for name in ("partition", "record_offset")},
            "topics": [" ".join(outgoing.topics) for outgoing in sent],
            "key": [outgoing.key for outgoing in sent],
            "value": [outgoing.value for outgoing in sent],
            "reason": [outgoing.reason for outgoing in sent],
        }
        return pa.table([columns[name] for name in OUTGOING.names], OUTGOING)
