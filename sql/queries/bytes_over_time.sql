-- The network's bytes in windows of five minutes, live, over the last three hours, beside those of the window an hour
-- before.
select
    timestamp,
    sum(bytes)::bigint as bytes,
    lag(sum(bytes), 12) over (order by timestamp)::bigint as bytes_12_windows_before
from usage_by_antenna
where timestamp > now() - interval '3 hours'
group by timestamp
order by timestamp desc;
