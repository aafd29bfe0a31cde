-- name: refused_offsets
-- Reads the well-formed records of a span that the live query did not count: duplicates, and records that the clock
-- refused.
select
    partition,
    record_offset
from refused_events
where feed = :feed and event_time >= :since and event_time < :until;

-- name: temporary_tables
-- recomputed: the totals that Spark staged, and the totals by e-mail. changes: the totals that differ from the target
-- table, with the value before and after; null where there was or is no row.
create temporary table recomputed (
    type text collate "C", id text collate "C", start timestamptz, value numeric
) on commit drop;

create temporary table changes (
    type text collate "C", id text collate "C", start timestamptz, before numeric, after numeric
) on commit drop;

-- name: add_totals_by_email
-- Adds to recomputed the totals of users under their e-mail addresses. Users whom user_metadata does not know have
-- none.
insert into recomputed (type, id, start, value)
select
    :email_type as type,
    users.email,
    recomputed.start,
    recomputed.value
from recomputed
inner join user_metadata as users on recomputed.id = users.id
where recomputed.type = :user_type;

-- name: first_changes
-- Reads the first changes in order, to be shown.
select
    type,
    id,
    start,
    before,
    after
from changes
order by start, type, id
limit :most;
