-- How fresh the live figures are: records that wait on Kafka, when the last ones were counted, how recent their events
-- are, and when the process that counts last looked (if long ago: it does not run).
select
    feed,
    sum(lag)::bigint as records_waiting,
    max(counted_at) as counted_at,
    max(latest_event_time) as latest_event_time,
    max(observed_at) as observed_at
from feed_progress
group by feed
order by feed;
