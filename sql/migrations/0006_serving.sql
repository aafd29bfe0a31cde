-- What is asked most is a stretch of time of one type: in this order its rows lie together, and the windows that the
-- live query is adding to lie at one end. It makes an index of bytes on the time alone unnecessary.
alter table bytes drop constraint bytes_pkey, add primary key (type, timestamp, id);
drop index bytes_timestamp;
alter table bytes_hourly drop constraint bytes_hourly_pkey, add primary key (type, timestamp, id);
alter table bytes_monthly drop constraint bytes_monthly_pkey, add primary key (type, timestamp, id);

-- Hour by hour: joined as a whole, the planner would read all windows.
create or replace view usage_hourly_live as
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
    windows.type,
    windows.id,
    open_hours.hour as timestamp,
    windows.value,
    open_hours.as_of
from open_hours
cross join lateral (
    select
        bytes.type,
        bytes.id,
        sum(bytes.value)::bigint as value
    from bytes
    where
        bytes.type in ('antenna_bytes_total', 'app_bytes_total', 'user_bytes_total')
        and bytes.timestamp >= open_hours.hour
        and bytes.timestamp < open_hours.hour + interval '1 hour'
    group by bytes.type, bytes.id
) as windows;

-- How far each partition of a topic reaches, as the process that counts it saw last.
create table topic_ends (
    feed text not null,
    partition integer not null,
    end_offset bigint not null,
    observed_at timestamptz not null default now(),
    primary key (feed, partition)
);
comment on table topic_ends is 'the offset that the next record of a partition gets, as of observed_at';

-- Roles: the owner is who migrates; the writer is for the jobs, the reader for dashboards and analysts. They cannot log
-- in: grant them to users who can. Roles belong to the whole server: another database's migration may have made them.
do $$
begin
    create role bytemeter_writer nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    create role bytemeter_reader nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;
grant usage on schema public, live_data_plans to bytemeter_writer;
grant select, insert, update, delete, truncate on all tables in schema public, live_data_plans to bytemeter_writer;
grant usage on schema public to bytemeter_reader;
grant select on all tables in schema public to bytemeter_reader;

-- The same for what is made later: tables of later migrations, and the staging of each feed in a schema of its own.
alter default privileges grant usage on schemas to bytemeter_writer;
alter default privileges grant select, insert, update, delete, truncate on tables to bytemeter_writer;
alter default privileges in schema public grant select on tables to bytemeter_reader;
do $$
declare
    staging text;
begin
    for staging in select nspname from pg_namespace where starts_with(nspname, 'live_') loop
        execute format('grant usage on schema %I to bytemeter_writer', staging);
        execute format(
            'grant select, insert, update, delete, truncate on all tables in schema %I to bytemeter_writer', staging
        );
    end loop;
end
$$;

-- The seeds' antennas and phones have ids that differ in their last digits alone.
create function short_id(id text) returns text
language sql immutable parallel safe
return replace(id, '00000000-0000-0000-0000-00000000', '…');
comment on function short_id is 'an id for people: different ids stay different';

create view usage_by_antenna as
select
    timestamp,
    id as antenna_id,
    short_id(id) as antenna,
    value as bytes
from bytes
where type = 'antenna_bytes_total';
comment on view usage_by_antenna is 'live: bytes per antenna and window of five minutes';

create view usage_by_app as
select
    timestamp,
    id as app,
    value as bytes
from bytes
where type = 'app_bytes_total';
comment on view usage_by_app is 'live: bytes per app and window of five minutes';

create view usage_by_user as
select
    bytes.timestamp,
    bytes.id as user_id,
    coalesce(user_metadata.email, short_id(bytes.id)) as user_name,
    bytes.value as bytes
from bytes
left join user_metadata on bytes.id = user_metadata.id
where bytes.type = 'user_bytes_total';
comment on view usage_by_user is 'live: bytes per user and window of five minutes; e-mail where the user is known';

create view antenna_hours as
select
    timestamp,
    id as antenna_id,
    short_id(id) as antenna,
    value as bytes,
    source,
    as_of
from usage_hourly
where type = 'antenna_bytes_total';
comment on view antenna_hours is 'bytes per antenna and hour, from batch or live as source tells';

create view busiest_antennas as
select distinct on (timestamp)
    timestamp,
    antenna_id,
    antenna,
    bytes,
    round(100.0 * bytes / nullif(sum(bytes) over (partition by timestamp), 0), 1) as percent_of_hour,
    source,
    as_of
from antenna_hours
order by timestamp asc, bytes desc, antenna_id asc;
comment on view busiest_antennas is 'the antenna with the most bytes of each hour, and its share of that hour';

create view live_against_batch as
select
    feed,
    timestamp,
    live_bytes,
    batch_bytes,
    batch_bytes - live_bytes as difference,
    case when dirty then 'live' else 'batch' end as served_from,
    recomputed_at
from (
    select
        hours.feed,
        hours.hour as timestamp,
        hours.dirty,
        hours.recomputed_at,
        (
            select sum(bytes.value)::bigint from bytes
            where
                bytes.type = 'antenna_bytes_total'
                and bytes.timestamp >= hours.hour
                and bytes.timestamp < hours.hour + interval '1 hour'
        ) as live_bytes,
        (
            select sum(bytes_hourly.value)::bigint from bytes_hourly
            where bytes_hourly.type = 'antenna_bytes_total' and bytes_hourly.timestamp = hours.hour
        ) as batch_bytes
    from hours
    where hours.feed = 'devices'
) as each_hour;
comment on view live_against_batch is
'each hour as counted live and as recomputed; a difference where served_from is live waits for the next recompute';

create view plan_progress as
select
    plan_usage.agreement_id,
    agreements.msisdn,
    agreements.billing_period_time_zone,
    plan_usage.period_start,
    plan_usage.period_end,
    plan_usage.year,
    plan_usage.month,
    plan_usage.year || '-' || lpad(plan_usage.month::text, 2, '0') as billing_month,
    plan_usage.status,
    plan_usage.period_start <= now() and plan_usage.period_end > now() as running,
    plan_usage.total_recorded_bytes,
    agreements.max_bytes_in_billing_period,
    round(100.0 * plan_usage.total_recorded_bytes / nullif(agreements.max_bytes_in_billing_period, 0), 1)
        as percent_used,
    least(100 * plan_usage.total_recorded_bytes / nullif(agreements.max_bytes_in_billing_period, 0) / 10 * 10, 100)
        as tenth,
    plan_usage.latest_recorded_at is not null
    and plan_usage.total_recorded_bytes >= agreements.max_bytes_in_billing_period as over,
    round(
        100 * extract(epoch from least(now(), plan_usage.period_end) - plan_usage.period_start)
        / extract(epoch from plan_usage.period_end - plan_usage.period_start),
        1
    ) as percent_of_period,
    plan_usage.latest_recorded_at
from data_plan_usage as plan_usage
inner join agreements on plan_usage.agreement_id = agreements.id;
comment on view plan_progress is 'how far each agreement is in each of its billing periods';
comment on column plan_progress.tenth is 'percent used, rounded down to tens; 100 for all that reached the limit';

create view plan_events as
select
    threshold_events.emitted_at,
    threshold_events.type,
    case threshold_events.type
        when 'DATA_PLAN_THRESHOLD_REACHED' then threshold_events.threshold_percent || ' % reached'
        when 'DATA_PLAN_EXCEEDED' then threshold_events.threshold_percent || ' % exceeded'
        when 'DATA_PLAN_CORRECTED' then 'total corrected'
        when 'BILLING_PERIOD_CLOSED' then 'period closed'
        else 'period amended'
    end as event,
    agreements.msisdn,
    threshold_events.agreement_id,
    threshold_events.period_start,
    threshold_events.threshold_percent,
    threshold_events.total_recorded_bytes,
    agreements.max_bytes_in_billing_period,
    threshold_events.latest_recorded_at,
    threshold_events.latest_internal_record_id,
    threshold_events.published_at,
    threshold_events.source,
    threshold_events.event_id
from threshold_events
inner join agreements on threshold_events.agreement_id = agreements.id;
comment on view plan_events is 'what was emitted for data plans, with the number and words for people';

create view feed_progress as
select
    ledger.feed,
    ledger.partition,
    ledger.next_offset,
    topic_ends.end_offset,
    greatest(topic_ends.end_offset - ledger.next_offset, 0) as lag,
    ledger.received,
    ledger.counted,
    ledger.duplicate,
    ledger.invalid,
    ledger.unmatched,
    ledger.voids,
    ledger.latest_event_time,
    ledger.updated_at as counted_at,
    topic_ends.observed_at,
    extract(epoch from now() - ledger.updated_at)::bigint as counted_s_ago
from ledger
left join topic_ends on ledger.feed = topic_ends.feed and ledger.partition = topic_ends.partition;
comment on view feed_progress is 'per partition: what became of what was received, and how many records wait (lag)';

create view recompute_progress as
select
    feed,
    max(recomputed_at) as last_recompute,
    max(hour) filter (where not dirty) as latest_recomputed_hour,
    count(*) filter (where dirty) as hours_waiting,
    min(hour) filter (where dirty) as oldest_waiting
from hours
group by feed;
comment on view recompute_progress is 'when hours were last recomputed, and how many wait for it';

create view invalid_samples as
select
    received_at,
    feed,
    reason,
    left(encode(payload, 'escape'), 200) as payload,
    partition,
    record_offset,
    replayed_at
from invalid_events;
comment on view invalid_samples is 'invalid records with the beginning of what was received, as text';
