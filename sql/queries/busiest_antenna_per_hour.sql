-- The busiest antenna of each of the last 24 hours, with its share of the hour's bytes.
select
    timestamp,
    antenna_id,
    bytes,
    percent_of_hour,
    source,
    as_of
from busiest_antennas
where timestamp > now() - interval '24 hours'
order by timestamp desc;
