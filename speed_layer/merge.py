"""The statements of the one transaction of a micro-batch, over its staged rows (search_path leads to the staging)."""

from __future__ import annotations

from sqlalchemy import BigInteger, DateTime, Text, column, func, select, table, text
from sqlalchemy.dialects.postgresql import Insert, insert

LOCK_LEDGER = text(
    "select partition, topic_id, next_offset from ledger where feed = :feed order by partition for update"
)

COUNT_STAGED = text("select count(*), count(*) filter (where kind = 3) from staged where attempt = :attempt")

# Of equal ids in one micro-batch the lowest position is the first; inserted in the order of the index. What was not
# inserted is a repeat and is staged again as kind 4: few rows, on which the later statements stand.
REMEMBER_IDS = text("""
with remembered as (
    insert into seen_ids (feed, hour, id_hash, partition, record_offset, content_hash)
    select distinct on (hour, id_hash)
        :feed, to_timestamp(window_s - window_s % 3600) as hour, id_hash, partition, record_offset, content_hash
    from staged
    where attempt = :attempt and kind = 3
    order by hour, id_hash, partition, record_offset
    on conflict do nothing
    returning partition, record_offset
)

insert into staged (attempt, kind, window_s, partition, record_offset, id_hash, content_hash, ids, value, latest_s)
select attempt, 4, window_s, partition, record_offset, id_hash, content_hash, ids, value, latest_s
from staged as s
where
    s.attempt = :attempt and s.kind = 3
    and not exists (
        select from remembered as r where r.partition = s.partition and r.record_offset = s.record_offset
    )
""")

# The planner knows nothing of the rows just staged, and would compare each with each.
NO_NESTED_LOOPS = text("set local enable_nestloop = off")
ANY_PLAN = text("set local enable_nestloop = on")

LIST_DUPLICATES = text("""
insert into duplicate_events (feed, partition, record_offset, event_time, first_partition, first_offset, conflict)
select
    :feed, s.partition, s.record_offset, to_timestamp(s.latest_s),
    seen.partition, seen.record_offset, seen.content_hash <> s.content_hash
from staged as s
inner join seen_ids as seen
    on seen.feed = :feed
    and seen.hour = to_timestamp(s.window_s - s.window_s % 3600)
    and seen.id_hash = s.id_hash
where s.attempt = :attempt and s.kind = 4
""")

LIST_INVALID = text("""
insert into invalid_events (feed, partition, record_offset, reason, payload, event_time)
select :feed, partition, record_offset, type, payload, to_timestamp(window_s)
from staged
where attempt = :attempt and kind = 2
""")

MARK_HOURS = text("""
insert into hours (feed, hour)
select distinct :feed, to_timestamp(window_s - window_s % 3600) as hour
from staged
where attempt = :attempt and kind = 1
order by hour
on conflict (feed, hour) do update set version = hours.version + 1
""")

SETTLE_LEDGER = text("""
with ends as (
    select * from unnest(cast(:partitions as integer []), cast(:offsets as bigint [])) as e (partition, next_offset)
),

account as (
    select partition, sum(records) as received, max(latest_s) as latest_s
    from staged
    where attempt = :attempt and kind = 0
    group by partition
),

invalid as (
    select partition, count(*) as n from staged where attempt = :attempt and kind = 2 group by partition
),

duplicate as (
    select partition, count(*) as n from staged where attempt = :attempt and kind = 4 group by partition
)

insert into ledger as l (
    feed, partition, topic_id, next_offset, received, counted, duplicate, invalid, latest_event_time
)
select
    :feed, ends.partition, :topic_id, ends.next_offset,
    coalesce(account.received, 0),
    coalesce(account.received, 0) - coalesce(invalid.n, 0) - coalesce(duplicate.n, 0),
    coalesce(duplicate.n, 0), coalesce(invalid.n, 0), to_timestamp(account.latest_s)
from ends
left join account using (partition)
left join invalid using (partition)
left join duplicate using (partition)
on conflict (feed, partition) do update set
    next_offset = excluded.next_offset,
    received = l.received + excluded.received,
    counted = l.counted + excluded.counted,
    duplicate = l.duplicate + excluded.duplicate,
    invalid = l.invalid + excluded.invalid,
    latest_event_time = greatest(l.latest_event_time, excluded.latest_event_time),
    updated_at = now()
""")

CLEAR_STAGED = text("truncate staged")

_STAGED_TOTALS = """
select type, id, window_s, value from staged where attempt = :attempt and kind = 1
"""

# Staged totals hold every valid record; what the repeats added is taken off again. A group of repeats alone adds
# nothing, not even a row.
_TOTALS_WITHOUT_REPEATS = """
select type, id, window_s, cast(sum(value) as bigint) as value
from (
    select type, id, window_s, value, records from staged where attempt = :attempt and kind = 1
    union all
    select named.type, named.id, s.window_s, -s.value, -1
    from staged as s
    cross join lateral unnest(cast(:types as text []), s.ids) as named (type, id)
    where s.attempt = :attempt and s.kind = 4
) as facts
group by type, id, window_s
having sum(records) > 0
"""


def add_totals(live_table: str, *, repeats: bool) -> Insert:
    """Add the staged totals to the windows of a live table (type, id, timestamp, value).

    Args:
        repeats: whether there are rows of kind 4, which have to be taken off.
    """
    key = (column("type", Text), column("id", Text))
    value = column("value", BigInteger)
    rows = text(_TOTALS_WITHOUT_REPEATS if repeats else _STAGED_TOTALS)
    staged = rows.columns(*key, column("window_s", BigInteger), value).subquery("added")
    into = table(live_table, *key, column("timestamp", DateTime(timezone=True)), value)
    # In the order of the primary key: neighbours on a page are then touched together.
    ordered = select(staged.c.type, staged.c.id, func.to_timestamp(staged.c.window_s), staged.c.value).order_by(
        staged.c.type, staged.c.id, staged.c.window_s
    )
    add = insert(into).from_select(["type", "id", "timestamp", "value"], ordered)
    return add.on_conflict_do_update(
        index_elements=["type", "id", "timestamp"], set_={"value": into.c.value + add.excluded.value}
    )
