-- name: moment
-- Reads when this snapshot was taken, and the last micro-batch that it has.
select
    now() as now,
    (
        select max(updated_at) from ledger
        where feed = :feed
    ) as counted_at;

-- name: hours
-- Reads the hours with records of a feed.
select
    hour,
    not dirty as clean
from hours
where feed = :feed and hour >= :since and hour < :until
order by hour;
