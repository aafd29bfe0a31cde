-- The leases of partitions of feeds, and of jobs: their feed is job/<name>, their partition 0.

-- name: read_leases
-- The leases of some feeds, and for how long each owner has been silent by the server's clock; null if it has given the
-- lease back.
select
    feed,
    partition,
    owner,
    epoch,
    heard_at,
    silent_s,
    extract(epoch from clock_timestamp() - nullif(heard_at, '-infinity')) as has_been_silent_s,
    heard_at = '-infinity' as given_back
from leases
where feed = any(cast(:names as text[]))
order by feed, partition;

-- name: end_session
-- Ends the PostgreSQL session of an owner that is silent, so that its open transaction lets go of the lease.
select pg_terminate_backend(leases.session, 5000)
from leases
inner join pg_stat_activity as activity
    on leases.session = activity.pid and leases.session_since = activity.backend_start
where leases.feed = :name and leases.partition = :partition and leases.owner = :owner;

-- name: take_lease
-- Takes a lease whose epoch is still the one that was read, or the lease of a new partition. No row: another process
-- was faster.
insert into leases (feed, partition, owner, epoch, heard_at, silent_s, session, session_since)
select
    :name as feed,
    :partition as partition,
    :owner as owner,
    1 as epoch,
    clock_timestamp() as heard_at,
    :silent_s as silent_s,
    pid as session,
    backend_start as session_since
from pg_stat_activity
where pid = pg_backend_pid()
on conflict (feed, partition) do update
    set
        owner = excluded.owner,
        epoch = leases.epoch + 1,
        heard_at = clock_timestamp(),
        silent_s = excluded.silent_s,
        session = excluded.session,
        session_since = excluded.session_since
    where leases.epoch = :epoch
returning epoch;

-- name: transact_by
-- Names the session of this connection as the one that a takeover ends.
update leases set session = activity.pid, session_since = activity.backend_start
from pg_stat_activity as activity
where
    activity.pid = pg_backend_pid() and leases.feed = :name and leases.partition = :partition and leases.epoch = :epoch;

-- name: hold_leases
-- The leases of some feeds, held until the transaction ends: a takeover waits for it, a heartbeat does not. In the
-- order in which a takeover changes them, so that the two cannot deadlock.
select
    feed,
    partition,
    owner,
    epoch
from leases
where feed = any(cast(:names as text[]))
order by feed, partition
for key share;

-- name: be_heard
-- Tells that the owner lives; of a lease that was taken over it changes nothing.
update leases set heard_at = clock_timestamp()
where feed = :name and partition = :partition and epoch = :epoch;

-- name: give_back
-- Gives a lease back, so that a successor need not wait.
update leases set heard_at = '-infinity'
where feed = :name and partition = :partition and epoch = :epoch;
