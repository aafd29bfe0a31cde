-- Repeats of event ids per hour of event time over the last day; conflicts are those with other content than the first.
select
    feed,
    date_trunc('hour', event_time, 'UTC') as timestamp,
    count(*) as repeats,
    count(*) filter (where conflict) as conflicts
from duplicate_events
where event_time > now() - interval '24 hours'
group by feed, date_trunc('hour', event_time, 'UTC')
order by timestamp desc, feed asc;
