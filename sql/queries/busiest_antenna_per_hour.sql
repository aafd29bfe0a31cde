-- The busiest antenna of each of the last 24 hours, with its share of the hour's bytes.
select distinct on (timestamp)
    timestamp,
    antenna_id,
    bytes,
    round(100.0 * bytes / sum(bytes) over (partition by timestamp), 1) as percent_of_hour,
    source,
    as_of
from antenna_hours
where timestamp > now() - interval '24 hours'
order by timestamp desc, bytes desc, antenna_id asc;
