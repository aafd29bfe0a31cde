-- name: next_offsets
-- Reads up to which offset of each partition the live query has counted a feed.
select
    partition,
    next_offset
from ledger
where feed = :feed
order by partition;

-- name: hours
-- Reads the hours that have records, and which of them a recompute has not seen yet.
select
    hour,
    version,
    dirty
from hours
where feed = :feed
order by hour;

-- name: clear_staged
-- Removes what earlier attempts of the job have staged.
truncate staged_hourly;

-- name: find_breaches
-- Writes the temporary table breaches: users whose recomputed total of an hour exceeds their quota.
create temporary table breaches on commit drop as
select
    recomputed.id as email,
    recomputed.start as timestamp,
    recomputed.value::bigint as usage,
    users.quota
from recomputed
inner join user_metadata as users on recomputed.id = users.email
where recomputed.type = :email_type and recomputed.value > users.quota;

-- name: remove_breaches
-- Removes the stored breaches of the hours that are replaced.
delete from user_quota_limit
where timestamp = any((:hours)::timestamptz[]);

-- name: write_breaches
-- Writes the breaches that were found.
insert into user_quota_limit (email, timestamp, usage, quota)
select
    email,
    timestamp,
    usage,
    quota
from breaches;

-- name: mark_recomputed
-- Notes up to which version each hour was recomputed. The versions are those of the snapshot: records that were counted
-- since keep their hour dirty.
insert into hours (feed, hour, version, recomputed_version, recomputed_at, dirty_since)
select
    :feed as feed,
    recomputed.hour,
    recomputed.version,
    recomputed.version as recomputed_version,
    :at as recomputed_at,
    :at as dirty_since
from unnest((:hours)::timestamptz[], (:versions)::bigint[]) as recomputed (hour, version)
on conflict (feed, hour) do update set
    recomputed_version = excluded.recomputed_version,
    recomputed_at = excluded.recomputed_at,
    -- Of records that were counted since, if there are any.
    dirty_since = excluded.dirty_since;
