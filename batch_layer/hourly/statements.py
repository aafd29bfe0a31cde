"""The SQL of the hourly job, over its staged totals."""

from __future__ import annotations

from sqlalchemy import text

LOCK = text("select pg_try_advisory_lock(hashtextextended(:name, 0))")

COUNTED = text("select partition, next_offset from ledger where feed = :feed order by partition")

HOURS = text("select hour, version, dirty from hours where feed = :feed order by hour")

CLEAR_STAGED = text("truncate staged_hourly")

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
