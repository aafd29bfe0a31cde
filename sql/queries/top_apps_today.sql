-- The apps that used most today (UTC), with their share of all bytes; as of as_of, live where no recompute has been.
select
    id as app,
    sum(value)::bigint as bytes,
    round(100.0 * sum(value) / sum(sum(value)) over (), 1) as percent_of_all,
    max(as_of) as as_of
from usage_hourly
where type = 'app_bytes_total' and timestamp >= date_trunc('day', now(), 'UTC')
group by id
order by bytes desc, app asc
limit 20;
