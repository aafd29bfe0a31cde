"""The feeds of telemetry: batches as clients send them, single events, unique events, and enriched events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import YEAR_2000_S, YEAR_2200_S, Feed, Kinds, Rule
from bytemeter.feeds.fields import Field, Number, Text, Whole
from bytemeter.feeds.rules import at_least, longer, none_of, over, under
from bytemeter.feeds.totals import Dimension, Totals, TotalsTable
from bytemeter.telemetry.batches import MOST_EVENT_BYTES, MOST_EVENTS, envelopes
from bytemeter.telemetry.validating import SchemaValidator
from bytemeter.windows import FIVE_MINUTES, HOUR

# The kinds of events that have a schema of ours, see ``bytemeter/telemetry/schemas``.
EIDS = (
    *("START", "END", "IMPRESSION", "INTERACT", "ASSESS", "RESPONSE", "INTERRUPT", "FEEDBACK", "SHARE", "AUDIT"),
    *("ERROR", "LOG", "SEARCH", "METRICS", "SUMMARY", "HEARTBEAT", "EXDATA"),
)
UNKNOWN_EID = "Schema not found: eid looks incorrect, sending to failed"
LOG = "LOG"

_EARLIEST_MS, _END_MS = YEAR_2000_S * 1_000, YEAR_2200_S * 1_000
# Clients write an empty text where they have none.
_TEXT = Text(empty_is_null=True)

_EVENT_FIELDS = (
    Field("eid", Text()),
    Field("ets", Number()),
    # The schemas require it. It is null of an event that is never a duplicate.
    Field("mid", Text(), required=False),
    Field("channel", _TEXT, required=False, path=("context", "channel")),
    Field("device", _TEXT, required=False, path=("context", "did")),
    Field("actor", _TEXT, required=False, path=("actor", "id")),
    Field("actor_type", _TEXT, required=False, path=("actor", "type")),
    Field("content", _TEXT, required=False, path=("object", "id")),
    # Seconds. Whether it has to be a number is for the schema of the event's kind to say.
    Field("duration", Number(others_are_null=True), required=False, path=("edata", "duration")),
)
# With what is stamped on an event of the most bytes, and what is added to it then. Kafka may have taken more, which was
# compressed, and might refuse to take it once more.
_MOST_RAW_BYTES, _MOST_UNIQUE_BYTES = MOST_EVENT_BYTES + 4_096, MOST_EVENT_BYTES + 8_192
_MOST_BATCH_BYTES = 8 * 2**20
_DIMENSIONS = (
    *(Dimension(name, (name,)) for name in ("eid", "channel", "device", "content")),
    # Of people: active users are the different ones.
    Dimension("user", ("actor",), where=("actor_type", "User")),
    *(Dimension(f"{name}_milliseconds", (name,), measure="duration") for name in ("eid", "content")),
)
_EVENT_RULES = (
    Rule("ets before 2000", under("ets", _EARLIEST_MS)),
    Rule("ets after 2200", at_least("ets", _END_MS)),
)


def _microseconds(milliseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants in whole microseconds since 1970, rounded down; null where they are not of 2000 to 2199."""
    is_instant = pc.and_(pc.greater_equal(milliseconds, _EARLIEST_MS), pc.less(milliseconds, _END_MS))
    instants = pc.if_else(is_instant, milliseconds, pa.scalar(None, pa.float64()))
    return pc.floor(pc.multiply(instants, 1_000.0)).cast(pa.int64())


def _event_us(records: pa.Table) -> pa.ChunkedArray:
    return _microseconds(records.column("ets"))


def _batch_us(records: pa.Table) -> pa.ChunkedArray:
    """When the client made the batch, else when the collector took it, else when Kafka received it."""
    ets, syncts = (_microseconds(records.column(name)) for name in ("ets", "syncts"))
    return pc.coalesce(ets, syncts, records.column("received_us"))


def _counted(feed: str, dimensions: tuple[Dimension, ...], measure: str | None = None) -> Totals:
    constants = (("feed", feed),)
    return Totals(
        measure=measure,
        dimensions=dimensions,
        live=TotalsTable("event_counts", FIVE_MINUTES, type="dimension", constants=constants),
        hourly=TotalsTable("event_counts_hourly", HOUR, type="dimension", constants=constants),
    )


def _at_most(size: int) -> Rule:
    return Rule(f"event over {size} bytes", longer("value", size))


def _are_logs(records: pa.Table) -> pa.ChunkedArray:
    return pc.equal(records.column("eid"), LOG)


def _rules(eids: Iterable[str]) -> tuple[Rule, ...]:
    return (_at_most(_MOST_RAW_BYTES), *_EVENT_RULES, Rule(UNKNOWN_EID, none_of("eid", tuple(eids))))


def _kinds(eids: Iterable[str], own: Mapping[str, str] | None = None) -> Kinds:
    return Kinds("eid", {eid: SchemaValidator(eid, (own or {}).get(eid)) for eid in eids}, ("value",))


def with_schemas(feed: Feed, own: Mapping[str, str]) -> Feed:
    """The feed with a user's schemas by eid (see ``bytemeter.telemetry.schema_files.read_folder``) beside ours.

    A schema with an eid of ours takes the place of ours. Feeds without schemas are returned as they are.
    """
    if feed.name != TELEMETRY.name or not own:
        return feed
    eids = [*dict.fromkeys((*EIDS, *own))]
    return replace(feed, rules=_rules(eids), kinds=_kinds(eids, own))


TELEMETRY_BATCHES = Feed(
    name="telemetry-batches",
    topic="telemetry.ingest",
    fields=(
        # The number of events: see ``bytemeter.telemetry.batches.envelope``.
        Field("events", Whole()),
        Field("msgid", _TEXT, required=False, path=("params", "msgid")),
        Field("ets", Number(others_are_null=True), required=False),
        Field("syncts", Number(others_are_null=True), required=False),
        Field("device", _TEXT, required=False, path=("did",)),
        Field("channel", _TEXT, required=False),
        Field("app", _TEXT, required=False, path=("pid",)),
    ),
    key="device",
    event_us=_batch_us,
    event_id="msgid",
    rules=(
        Rule(f"batch over {_MOST_BATCH_BYTES} bytes", longer("value", _MOST_BATCH_BYTES)),
        Rule(f"batch over {MOST_EVENTS} events", over("events", MOST_EVENTS)),
    ),
    live_query="telemetry-batches",
    # A retry has another time.
    assigned=("ets", "syncts"),
    keeps_raw=True,
    read_as=envelopes,
    totals=_counted("telemetry-batches", (Dimension("channel", ("channel",)), Dimension("app", ("app",))), "events"),
)
TELEMETRY = Feed(
    name="telemetry",
    topic="telemetry.raw",
    fields=_EVENT_FIELDS,
    key="device",
    key_else="actor",
    event_us=_event_us,
    event_id="mid",
    # Any number of these may have the same mid: programs repeat what they log.
    without_id=_are_logs,
    rules=_rules(EIDS),
    live_query="telemetry",
    keeps_raw=True,
    kinds=_kinds(EIDS),
    totals=_counted("telemetry", _DIMENSIONS),
)
TELEMETRY_UNIQUE = Feed(
    name="telemetry-unique",
    topic="telemetry.unique",
    fields=_EVENT_FIELDS,
    key="device",
    event_us=_event_us,
    event_id="mid",
    rules=(_at_most(_MOST_UNIQUE_BYTES), *_EVENT_RULES),
    live_query="telemetry-denorm",
    keeps_raw=True,
    derived=True,
    totals=_counted("telemetry-unique", (Dimension("eid", ("eid",)),)),
)
TELEMETRY_DENORM = Feed(
    name="telemetry-denorm",
    topic="telemetry.denorm",
    fields=(*_EVENT_FIELDS, Field("state", _TEXT, required=False, path=("derivedlocationdata", "state"))),
    key="device",
    event_us=_event_us,
    # Only we write this topic, each event once.
    event_id=None,
    rules=_EVENT_RULES,
    live_query="totals",
    keeps_raw=True,
    derived=True,
    totals=_counted("telemetry-denorm", (Dimension("eid", ("eid",)), Dimension("state", ("state",)))),
)
