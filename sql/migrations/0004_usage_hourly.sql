-- Hours served from the batch view once recomputed, from the live view before that and while later records wait.
create view usage_hourly_live as
with open_hours as (
    select
        hours.hour,
        (
            select max(ledger.updated_at) from ledger
            where ledger.feed = hours.feed
        ) as as_of
    from hours
    where hours.feed = 'devices' and hours.dirty
)

select
    bytes.type,
    bytes.id,
    open_hours.hour as timestamp,
    sum(bytes.value)::bigint as value,
    open_hours.as_of
from open_hours
inner join bytes
    on bytes.timestamp >= open_hours.hour and bytes.timestamp < open_hours.hour + interval '1 hour'
group by bytes.type, bytes.id, open_hours.hour, open_hours.as_of;

create view usage_hourly as
select
    bytes_hourly.type,
    bytes_hourly.id,
    bytes_hourly.timestamp,
    bytes_hourly.value,
    'batch' as source,
    hours.recomputed_at as as_of
from bytes_hourly
inner join hours on hours.feed = 'devices' and bytes_hourly.timestamp = hours.hour and not hours.dirty
union all
select
    type,
    id,
    timestamp,
    value,
    'live' as source,
    as_of
from usage_hourly_live
union all
select
    'email_bytes_total' as type,
    user_metadata.email as id,
    usage_hourly_live.timestamp,
    usage_hourly_live.value,
    'live' as source,
    usage_hourly_live.as_of
from usage_hourly_live
inner join user_metadata on usage_hourly_live.id = user_metadata.id
where usage_hourly_live.type = 'user_bytes_total';
comment on view usage_hourly is 'bytes per hour, from batch or live as source tells, as of as_of';

create view quota_breaches as
select
    usage_hourly.id as email,
    usage_hourly.timestamp,
    usage_hourly.value as usage,
    user_metadata.quota,
    usage_hourly.source,
    usage_hourly.as_of
from usage_hourly
inner join user_metadata on usage_hourly.id = user_metadata.email
where usage_hourly.type = 'email_bytes_total' and usage_hourly.value > user_metadata.quota;
comment on view quota_breaches is 'hours over quota, live and batch; user_quota_limit holds the recomputed ones';
