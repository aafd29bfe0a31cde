-- A user's day (UTC), hour by hour: the bytes, the quota, and where the figure comes from.
--   bytemeter psql -v email=user01@example.com -v day=2026-11-21 -f sql/queries/user_day.sql
select
    usage_hourly.timestamp,
    usage_hourly.value as bytes,
    user_metadata.quota,
    usage_hourly.value > user_metadata.quota as over_quota,
    usage_hourly.source,
    usage_hourly.as_of
from usage_hourly
inner join user_metadata on usage_hourly.id = user_metadata.email
where
    usage_hourly.type = 'email_bytes_total'
    and usage_hourly.id = :'email'
    and usage_hourly.timestamp >= cast(:'day' as timestamp) at time zone 'UTC'
    and usage_hourly.timestamp < (cast(:'day' as timestamp) + interval '1 day') at time zone 'UTC'
order by usage_hourly.timestamp;
