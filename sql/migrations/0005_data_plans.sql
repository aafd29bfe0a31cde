-- Who has which data plan from when on.
create table agreements (
    id text collate "C" primary key,
    msisdn text collate "C" not null,
    signed_at timestamptz not null,
    service_start_at timestamptz not null,
    billing_period_time_zone text collate "C" not null,
    max_bytes_in_billing_period bigint not null check (max_bytes_in_billing_period >= 0),
    thresholds integer[] not null,
    anchor_day smallint not null check (anchor_day between 1 and 31),
    arrived_at timestamptz not null default now(),
    served_until timestamptz not null default 'infinity'
);
create index agreements_msisdn on agreements (msisdn, service_start_at);
comment on column agreements.thresholds is 'percents of the limit, ascending; 100 is always one';
comment on column agreements.served_until is
'when the next agreement of the number starts: from then on its records belong to that one';

-- Billing periods as the driver computed them, once for each time zone and anchor day, for whole years.
create table billing_calendars (
    time_zone text collate "C" not null,
    anchor_day smallint not null,
    first_year integer not null,
    last_year integer not null,
    primary key (time_zone, anchor_day)
);
create table billing_periods (
    time_zone text collate "C" not null,
    anchor_day smallint not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    year integer not null,
    month integer not null,
    primary key (time_zone, anchor_day, period_start)
);
create index billing_periods_month on billing_periods (year, month);

-- Instants as microseconds since 1970, exactly.
create function to_us(instant timestamptz) returns bigint
language sql immutable parallel safe
return (extract(epoch from instant) * 1000000)::bigint;

create function from_us(us bigint) returns timestamptz
language sql immutable parallel safe
return timestamptz 'epoch' + us * interval '1 microsecond';

-- Which agreement, and which of its billing periods, owns the records of a number in a stretch of time.
create view plan_ownership as
select
    service.msisdn,
    service.id as agreement_id,
    greatest(periods.period_start, service.service_start_at) as served_from,
    least(periods.period_end, service.served_until) as served_until,
    periods.period_start,
    periods.period_end,
    periods.year,
    periods.month
from agreements as service
inner join billing_periods as periods
    on
        periods.time_zone = service.billing_period_time_zone
        and periods.anchor_day = service.anchor_day
        and periods.period_end > service.service_start_at
        and periods.period_start < service.served_until
where service.service_start_at < service.served_until;

create table data_plan_usage (
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    year integer not null,
    month integer not null,
    total_recorded_bytes bigint not null default 0,
    latest_recorded_at timestamptz,
    latest_internal_record_id text collate "C",
    status text not null default 'open' check (status in ('open', 'closed')),
    next_threshold_bytes bigint,
    amendments integer not null default 0,
    primary key (agreement_id, period_start)
) with (fillfactor = 70);
create index data_plan_usage_open on data_plan_usage (period_end) where status = 'open';
create index data_plan_usage_month on data_plan_usage (year, month);
comment on column data_plan_usage.next_threshold_bytes is 'the least threshold above the total; null if none is left';
comment on column data_plan_usage.amendments is 'how many amendments and corrections were emitted: the last ordinal';

-- Where the live query looks up the owner of a record; made from plan_ownership when first needed, and forgotten when
-- an agreement of the number changes. Times are microseconds since 1970.
create table plan_segments (
    msisdn text collate "C" not null,
    served_from_us bigint not null,
    served_until_us bigint not null,
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    primary key (msisdn, served_from_us)
);

-- Records that no agreement owns yet.
create table unmatched_records (
    partition integer not null,
    record_offset bigint not null,
    msisdn text collate "C" not null,
    recorded_us bigint not null,
    recorded_bytes bigint not null,
    internal_record_id text collate "C" not null,
    primary key (partition, record_offset)
);
create index unmatched_records_msisdn on unmatched_records (msisdn, recorded_us);

-- What was emitted, and the outbox of the topic threshold-events. The sequence is the order of publishing.
create table threshold_events (
    event_id uuid primary key,
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    type text not null,
    threshold_percent integer,
    threshold_bytes bigint,
    total_recorded_bytes bigint not null,
    latest_recorded_at timestamptz,
    latest_internal_record_id text collate "C",
    ordinal integer not null default 0,
    payload bytea not null,
    published_at timestamptz,
    emitted_at timestamptz not null default now(),
    source text not null check (source in ('live', 'batch')),
    sequence bigint not null generated always as identity
);
create index threshold_events_agreement on threshold_events (agreement_id, period_start);
create index threshold_events_emitted_at on threshold_events (emitted_at);
create index threshold_events_unpublished on threshold_events (source, sequence) where published_at is null;
comment on column threshold_events.latest_recorded_at is 'of the record that crossed; else of the latest one';
comment on column threshold_events.payload is 'the message, byte for byte';

create function threshold_bytes(percent integer, max_bytes bigint) returns bigint
language sql immutable parallel safe
return (percent * max_bytes + 99) / 100;
comment on function threshold_bytes is 'the least total of which so many percent of the limit are reached';

create function next_threshold(thresholds integer[], max_bytes bigint, total bigint) returns bigint
language sql immutable parallel safe
return (
    select min(threshold_bytes(t.percent, max_bytes))
    from unnest(thresholds) as t (percent)
    where total is null or threshold_bytes(t.percent, max_bytes) > total
);
comment on function next_threshold is 'the least threshold above the total; null as total stands for no record yet';

create table bytes_monthly (
    type text collate "C" not null,
    id text collate "C" not null,
    timestamp timestamptz not null,
    value bigint not null,
    primary key (type, id, timestamp)
);
create index bytes_monthly_timestamp on bytes_monthly (timestamp);
comment on table bytes_monthly is
'batch: bytes per calendar month (UTC), recomputed from the history; timestamp is the start of the month';

-- What the monthly job stages: totals of a month, who owns which records of it, and totals per billing period.
create unlogged table staged_monthly (like staged_hourly including defaults);

create unlogged table monthly_ownership (
    msisdn text collate "C" not null,
    served_from_us bigint not null,
    served_until_us bigint not null,
    agreement_id text collate "C" not null,
    period_start timestamptz not null
);

create unlogged table staged_plan_usage (
    attempt bigint not null default current_setting('bytemeter.attempt')::bigint,
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    bytes bigint not null,
    latest_us bigint not null,
    latest text collate "C" not null
);

-- What the executors write for the live query of agreements and data-records: runs of consecutive messages of a
-- partition, what was found in them as arrays, side by side.
create schema live_data_plans;
create unlogged table live_data_plans.staged (
    attempt bigint not null default current_setting('bytemeter.attempt')::bigint,
    feed text not null,
    partition integer not null,
    records bigint not null,
    latest_s bigint,
    offsets bigint[],
    id_hashes text[],
    content_hashes bigint[],
    recorded_us bigint[],
    recorded_bytes bigint[],
    msisdns text[],
    internal_ids text[],
    agreements text[],
    agreement_offsets bigint[],
    invalid_offsets bigint[],
    invalid_reasons text[],
    invalid_payloads text[],
    invalid_times_s bigint[]
);
