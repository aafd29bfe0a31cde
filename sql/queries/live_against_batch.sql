-- Each hour's bytes as the live query counts them and as the last recompute found them.
with live as (
    select
        date_trunc('hour', timestamp, 'UTC') as timestamp,
        sum(value)::bigint as bytes
    from bytes
    where type = 'antenna_bytes_total'
    group by date_trunc('hour', timestamp, 'UTC')
),

batch as (
    select
        timestamp,
        sum(value)::bigint as bytes
    from bytes_hourly
    where type = 'antenna_bytes_total'
    group by timestamp
)

select
    live.timestamp,
    live.bytes as live,
    batch.bytes as batch,
    case when hours.dirty then 'live' else 'batch' end as served_from
from live
inner join hours on hours.feed = 'devices' and live.timestamp = hours.hour
left join batch on live.timestamp = batch.timestamp
order by live.timestamp desc
limit 6;
