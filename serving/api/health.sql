-- name: waiting_feeds
-- Reads the feeds whose messages wait and were last counted some time ago.
select
    feed,
    sum(lag)::bigint as waiting,
    max(counted_at) as counted_at
from feed_status
where lag > 0
group by feed
having max(counted_at) < now() - :longest
order by feed;
