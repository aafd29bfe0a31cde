-- What became of every record received, over all partitions of each feed.
select
    feed,
    sum(received)::bigint as received,
    sum(counted)::bigint as counted,
    sum(duplicate)::bigint as duplicate,
    sum(invalid)::bigint as invalid,
    sum(unmatched)::bigint as unmatched,
    max(latest_event_time) as latest_event_time,
    max(updated_at) as updated_at
from ledger
group by feed
order by feed;
