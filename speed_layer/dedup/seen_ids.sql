-- Event ids that were counted: segments (seen_segments), and the tables of their packs (seen_generations). Hours count
-- from 1970.

-- name: read_horizon
-- The horizon of a feed's partitions, and the watermark from which the next horizon is counted back: the least latest
-- event time of the partitions, without those that are further behind the latest one of all than :lag_s.
select
    cast(max(extract(epoch from identity_horizon)) / 3600 as integer) as hour,
    cast(
        floor(extract(epoch from greatest(
            min(latest_event_time), max(latest_event_time) - make_interval(secs => :lag_s)
        ))) as bigint
    ) as watermark_s
from ledger
where feed = :feed;

-- name: move_horizon
-- Moves the horizon of a feed's partitions. Partitions that another process counts right now are left to that process.
update ledger set identity_horizon = to_timestamp(3600 * cast(:hour as bigint))
from (
    select
        l.feed,
        l.partition
    from ledger as l
    where l.feed = :feed
    order by l.partition
    for update skip locked
) as free
where ledger.feed = free.feed and ledger.partition = free.partition;

-- name: counted_segments
-- The segments of a feed, oldest first. "is_full" are those that do not change any more. Only segments of the time
-- before generations have an end of their own, and no hour.
select
    segment,
    generation,
    hour,
    last_hour,
    generation is not null and (hour is not null or fences is not null) as is_full
from seen_segments
where feed = :feed and counted
order by segment;

-- name: filter_of_mixed
-- The filter and the fence keys of a full segment of the time before generations.
select
    filter,
    fences
from seen_segments
where segment = :segment;

-- name: remove_all_uncounted_segments
-- Removes the segments of a feed that nobody sees: their transaction never committed, or another segment has replaced
-- them. Returns segments and generations, of which the packs are to be deleted. Only the process that counts the feed
-- may run it: another one's transaction may still be under way.
delete from seen_segments
where feed = :feed and not counted
returning segment, generation;

-- name: remove_uncounted_segments
-- Removes the segments of a list that were never counted; returns the segments removed, whose packs are then deleted.
delete from seen_segments
where segment = any(cast(:segments as integer[])) and not counted
returning segment;

-- name: open_segments
-- Creates an empty segment, to which ids can be added, for each hour. Returns hours and segments.
insert into seen_segments (feed, hour, last_hour, counted)
select
    :feed as feed,
    event_hours.hour,
    event_hours.hour as last_hour,
    true as counted
from unnest(cast(:hours as integer[])) as event_hours (hour)
returning hour, segment;

-- name: create_full_segment
-- Creates a full segment that is not counted yet, and returns its id.
insert into seen_segments (feed, generation, hour, last_hour, counted)
values (:feed, :generation, :hour, :hour, false)
returning segment;

-- name: count_segments
-- Makes full segments counted. They are seen once the transaction that counts their records is committed.
update seen_segments set counted = true
where segment = any(cast(:segments as integer[]));

-- name: replace_segment
-- Makes an open segment unseen: a full one has its ids.
update seen_segments set counted = false
where segment = :segment;

-- name: remove_passed_open_segments
-- Removes the open segments of a feed that the committed horizon of all its partitions has passed; returns them, for
-- their packs to be deleted.
delete from seen_segments
where
    feed = :feed
    and generation is null
    and last_hour < (
        select min(extract(epoch from l.identity_horizon)) / 3600 from ledger as l
        where l.feed = :feed
    )
returning segment;

-- name: passed_generations
-- The generations before this era, of the feed or of all feeds, of which the committed horizon has passed each segment.
select g.generation from seen_generations as g
where
    (g.feed = :feed or g.feed is null)
    and coalesce(g.era < :era, true)
    and not exists (
        select from seen_segments as s
        where
            s.generation = g.generation
            and coalesce(
                s.last_hour >= (
                    select min(extract(epoch from l.identity_horizon)) / 3600 from ledger as l
                    where l.feed = s.feed
                ),
                true
            )
    );

-- name: generation_of_era
-- The generation of a feed and an era; makes its table at first.
select seen_generation(:feed, :era) as generation;

-- name: drop_generation
-- Drops the table of a generation, with its segments.
select drop_seen_generation(:generation) as dropped;
