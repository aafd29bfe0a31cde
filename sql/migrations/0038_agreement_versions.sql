-- Every version of every agreement: from when it holds, and when it came.
create table agreement_versions (
    id text collate "C" not null,
    effective_from timestamptz not null,
    received_at timestamptz not null,
    holds_until timestamptz not null,
    given_from timestamptz,
    partition integer not null,
    record_offset bigint not null,
    msisdn text collate "C" not null,
    signed_at timestamptz not null,
    service_start_at timestamptz not null,
    billing_period_time_zone text collate "C" not null,
    max_bytes_in_billing_period bigint not null check (max_bytes_in_billing_period >= 0),
    thresholds integer[] not null,
    anchor_day smallint not null check (anchor_day between 1 and 31),
    primary key (id, effective_from, received_at),
    check (effective_from <= holds_until)
);
create index agreement_versions_msisdn on agreement_versions (msisdn);
comment on table agreement_versions is
'each message of an agreement; the one with the latest effective_from at or before an instant holds then';
comment on column agreement_versions.received_at is 'when Kafka received the message';
comment on column agreement_versions.holds_until is
'when the next version begins to hold; where it is effective_from, another message has taken its place';
comment on column agreement_versions.given_from is 'effectiveFrom of the message; null if it has none';
insert into agreement_versions
select
    id,
    service_start_at as effective_from,
    arrived_at as received_at,
    timestamptz '9999-01-01T00:00Z' as holds_until,
    null as given_from,
    -1 as partition,
    -1 as record_offset,
    msisdn,
    signed_at,
    service_start_at,
    billing_period_time_zone,
    max_bytes_in_billing_period,
    thresholds,
    anchor_day
from agreements;

-- Whom the records of an MSISDN belong to, and by which calendar: made of the versions of all its agreements.
create table agreement_services (
    msisdn text collate "C" not null,
    served_from timestamptz not null,
    served_until timestamptz not null,
    agreement_id text collate "C" not null,
    billing_period_time_zone text collate "C" not null,
    anchor_day smallint not null,
    primary key (msisdn, served_from),
    check (served_from < served_until)
);
create index agreement_services_agreement on agreement_services (agreement_id, served_from);
comment on table agreement_services is
'internal: in [served_from, served_until) the records of an MSISDN belong to one agreement, in one calendar';
insert into agreement_services
select
    msisdn,
    service_start_at as served_from,
    least(served_until, timestamptz '9999-01-01T00:00Z') as served_until,
    id as agreement_id,
    billing_period_time_zone,
    anchor_day
from agreements
where service_start_at < served_until;

create or replace view plan_ownership as
select
    services.msisdn,
    services.agreement_id,
    greatest(periods.period_start, services.served_from) as served_from,
    least(periods.period_end, services.served_until) as served_until,
    periods.period_start,
    periods.period_end,
    periods.year,
    periods.month
from agreement_services as services
inner join billing_periods as periods
    on
        periods.time_zone = services.billing_period_time_zone
        and periods.anchor_day = services.anchor_day
        and periods.period_end > services.served_from
        and periods.period_start < services.served_until;
alter table agreements drop column served_until;

create function agreement_terms(agreement text, ends_at timestamptz)
returns table (max_bytes bigint, thresholds integer[])
language sql stable
as $$
    select v.max_bytes_in_billing_period, v.thresholds
    from agreement_versions as v
    where
        v.id = agreement
        and v.effective_from < v.holds_until
        and (v.effective_from < ends_at or v.given_from is null)
    order by v.effective_from desc
    limit 1
$$;
comment on function agreement_terms is
'limit and thresholds of a billing period that ends at an instant and is not closed: of the last version that begins to
hold before; a version without effectiveFrom counts at once, for earlier periods, too';

create or replace function open_periods(agreement_ids text[], starts timestamptz[]) returns void
language sql
as $$
    insert into data_plan_usage (
        agreement_id, period_start, period_end, year, month, billing_period_time_zone, max_bytes_in_billing_period,
        thresholds, next_threshold_bytes
    )
    select
        opened.agreement_id,
        p.period_start,
        p.period_end,
        p.year,
        p.month,
        p.time_zone,
        t.max_bytes,
        t.thresholds,
        next_threshold(t.thresholds, t.max_bytes, null)
    from unnest(agreement_ids, starts) as opened (agreement_id, period_start)
    cross join lateral (
        select b.*
        from agreement_services as s
        inner join billing_periods as b
            on
                b.time_zone = any(array[s.billing_period_time_zone])
                and b.anchor_day = any(array[s.anchor_day])
                and b.period_start = opened.period_start
                and b.period_end > s.served_from
        where s.agreement_id = any(array[opened.agreement_id]) and s.served_until > opened.period_start
        order by s.served_from
        limit 1
    ) as p
    cross join lateral agreement_terms(opened.agreement_id, p.period_end) as t
    on conflict do nothing
$$;

grant select, insert, update, delete on agreement_versions to bytemeter_writer;
grant select, insert, delete on agreement_services to bytemeter_writer;
