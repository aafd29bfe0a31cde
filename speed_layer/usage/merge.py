"""The statements that count a micro-batch of a feed's totals, over its staged rows (search_path leads to them)."""

from __future__ import annotations

from sqlalchemy import BigInteger, DateTime, Text, column, func, select, table, text
from sqlalchemy.dialects.postgresql import Insert, insert

COUNT_STAGED = text("select count(*) from staged where attempt = :attempt")

TAKE_RECORDS = text("""
insert into records (partition, record_offset, event_us, id_hash, content_hash, value, ids)
select partition, record_offset, latest_s * 1000000, id_hash, content_hash, value, ids
from staged
where attempt = :attempt and kind = 3
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

ACCOUNTS = text("""
with repeated as (
    select partition, count(*) as n from repeats group by partition
)

select
    partition,
    coalesce(sum(s.records) filter (where s.kind = 0), 0)::bigint as received,
    coalesce(max(r.n), 0) as duplicate,
    count(*) filter (where s.kind = 2) as invalid,
    max(s.latest_s) filter (where s.kind = 0) as latest_s
from staged as s
left join repeated as r using (partition)
where s.attempt = :attempt and s.kind in (0, 2)
group by partition
""")

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
    select named.type, named.id, r.event_us / 1000000 / :window_s * :window_s, -r.value, -1
    from repeats as r
    cross join lateral unnest(cast(:types as text []), r.ids) as named (type, id)
) as facts
group by type, id, window_s
having sum(records) > 0
"""


def add_totals(live_table: str, *, repeats: bool) -> Insert:
    """Add the staged totals to the windows of a live table (type, id, timestamp, value).

    Args:
        repeats: whether there are repeats, which have to be taken off; then with the dimensions as ``types``, and the
            windows' length as ``window_s``.
    """
    key = (column("type", Text), column("id", Text))
    value = column("value", BigInteger)
    rows = text(_TOTALS_WITHOUT_REPEATS if repeats else _STAGED_TOTALS)
    staged = rows.columns(*key, column("window_s", BigInteger), value).subquery("added")
    into = table(live_table, *key, column("timestamp", DateTime(timezone=True)), value)
    # In the order of the primary key: neighbours on a page are then touched together.
    ordered = select(staged.c.type, staged.c.id, func.to_timestamp(staged.c.window_s), staged.c.value).order_by(
        staged.c.type, staged.c.window_s, staged.c.id
    )
    add = insert(into).from_select(["type", "id", "timestamp", "value"], ordered)
    return add.on_conflict_do_update(
        index_elements=["type", "id", "timestamp"], set_={"value": into.c.value + add.excluded.value}
    )
