"""The SQL of the hourly job, over its staged totals."""

from __future__ import annotations

from sqlalchemy import text

LOCK = text("select pg_try_advisory_lock(hashtextextended(:name, 0))")

COUNTED = text("select partition, next_offset from ledger where feed = :feed order by partition")

HOURS = text("select hour, version, dirty from hours where feed = :feed order by hour")

COUNT_STAGED = text("select count(*) from staged_hourly where attempt = :attempt")

CLEAR_STAGED = text("truncate staged_hourly")

# Totals by e-mail are those of the users that user_metadata knows.
RECOMPUTED = text("""
create temporary table recomputed on commit drop as
with of_attempt as (
    select type, id, to_timestamp(window_s) as timestamp, value from staged_hourly where attempt = :attempt
)

select type, id, timestamp, value from of_attempt
union all
select 'email_bytes_total', u.email, s.timestamp, s.value
from of_attempt as s
inner join user_metadata as u on u.id = s.id
where s.type = 'user_bytes_total'
""")

CHANGES = text("""
create temporary table changes on commit drop as
select type, id, timestamp, old.value as before, new.value as after
from (select * from bytes_hourly where timestamp = any(cast(:hours as timestamptz []))) as old
full join recomputed as new using (type, id, timestamp)
where old.value is distinct from new.value
""")

COUNT_CHANGES = text("select count(*) from changes")

FIRST_CHANGES = text("select type, id, timestamp, before, after from changes order by timestamp, type, id limit :most")

REMOVE_GONE = text("""
delete from bytes_hourly as b
using changes as c
where c.after is null and b.type = c.type and b.id = c.id and b.timestamp = c.timestamp
""")

WRITE_CHANGED = text("""
insert into bytes_hourly (type, id, timestamp, value)
select type, id, timestamp, after from changes where after is not null order by type, id, timestamp
on conflict (type, id, timestamp) do update set value = excluded.value
""")

REMOVE_BREACHES = text("delete from user_quota_limit where timestamp = any(cast(:hours as timestamptz []))")

BREACHES = text("""
create temporary table breaches on commit drop as
select r.id as email, r.timestamp, r.value as usage, u.quota
from recomputed as r
inner join user_metadata as u on u.email = r.id
where r.type = 'email_bytes_total' and r.value > u.quota
""")

WRITE_BREACHES = text(
    "insert into user_quota_limit (email, timestamp, usage, quota) select email, timestamp, usage, quota from breaches"
)

COUNT_BREACHES = text("select count(*) from breaches")

# The versions are those of the snapshot: what came since keeps its hour dirty.
MARK_RECOMPUTED = text("""
insert into hours (feed, hour, version, recomputed_version, recomputed_at)
select :feed, h.hour, h.version, h.version, :at
from unnest(cast(:hours as timestamptz []), cast(:versions as bigint [])) as h (hour, version)
on conflict (feed, hour) do update set
    recomputed_version = excluded.recomputed_version,
    recomputed_at = excluded.recomputed_at
""")
