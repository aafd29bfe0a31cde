-- Duplicates by event id, per hour of event time over the last day; conflicts differ in content from the first record.
select
    feed,
    date_trunc('hour', event_time, 'UTC') as timestamp,
    count(*) as duplicates,
    count(*) filter (where conflict) as conflicts
from duplicate_events
where event_time > now() - interval '24 hours'
group by feed, date_trunc('hour', event_time, 'UTC')
order by timestamp desc, feed asc;
