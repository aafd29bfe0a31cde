-- Event ids that were counted: segments (seen_segments), and their packs of ids (seen_ids).

-- name: remove_uncounted_segments
-- Removes the segments of a feed whose transaction never committed, with their packs. Only the process that counts the
-- feed may run it: another one's transaction may still be under way.
with removed as (
    delete from seen_segments
    where feed = :feed and not counted
    returning segment
)

delete from seen_ids
where segment in (select removed.segment from removed);

-- name: counted_segments
-- The segments of a feed, oldest first.
select segment from seen_segments
where feed = :feed and counted
order by segment;

-- name: filter_and_fences
-- The filter and the fence keys of one segment; both are null while the segment is open.
select
    filter,
    fences
from seen_segments
where segment = :segment;

-- name: create_segment
-- Creates an empty segment and returns its id.
insert into seen_segments (feed, counted) values (:feed, :counted)
returning segment;

-- name: mark_segment_full
-- Stores the filter and the fence keys of a full segment. It becomes counted with the transaction that counts its
-- records.
update seen_segments set filter = :filter, fences = :fences, counted = true
where segment = :segment;

-- name: delete_packs
-- Deletes all packs of a segment, before they are written again in the order of their keys.
delete from seen_ids
where segment = :segment;

-- name: packs_of_segment
-- The packs of a segment, in any order.
select ids from seen_ids
where segment = :segment;

-- name: packs_by_index
-- Packs by segment and index. "any(array[...])" makes PostgreSQL look each pack up by the index, whatever its
-- statistics say (see speed_layer/postgres/lookups.py).
select s.ids
from unnest(cast(:segments as integer[]), cast(:packs as integer[])) as wanted (segment, pack)
inner join seen_ids as s on s.segment = any(array[wanted.segment]) and s.pack = wanted.pack;
