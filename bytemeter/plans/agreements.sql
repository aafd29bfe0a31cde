-- name: read_versions
-- Reads the versions of agreements, those of an agreement together.
select * from agreement_versions -- noqa: AM04
where id = any(cast(:ids as text[]))
order by id;

-- name: delete_versions
-- Deletes the versions of agreements that are about to be written anew.
delete from agreement_versions
where id = any(cast(:ids as text[]));

-- name: write_versions
-- Writes versions of agreements. Lists within a list would have to be of equal length: the thresholds of each version
-- come as JSON.
insert into agreement_versions (
    id, effective_from, received_at, holds_until, given_from, partition, record_offset, msisdn, signed_at,
    service_start_at, service_end_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds, anchor_day
)
select
    v.id,
    v.effective_from,
    v.received_at,
    v.holds_until,
    v.given_from,
    v.partition,
    v.record_offset,
    v.msisdn,
    v.signed_at,
    v.starts_at,
    v.ends_at,
    v.time_zone,
    v.max_bytes,
    cast(translate(v.thresholds, '[]', '{}') as integer[]) as thresholds,
    v.anchor_day
from
    unnest(
        cast(:ids as text[]), cast(:effective as timestamptz[]), cast(:received as timestamptz[]),
        cast(:until as timestamptz[]), cast(:given as timestamptz[]), cast(:partitions as integer[]),
        cast(:offsets as bigint[]), cast(:msisdns as text[]), cast(:signed as timestamptz[]),
        cast(:starts as timestamptz[]), cast(:ends as timestamptz[]), cast(:zones as text[]),
        cast(:limits as bigint[]), cast(:thresholds as text[]), cast(:anchor_days as smallint[])
    ) as v (
        id, effective_from, received_at, holds_until, given_from, partition, record_offset, msisdn, signed_at,
        starts_at, ends_at, time_zone, max_bytes, thresholds, anchor_day
    );

-- name: write_agreements
-- Writes the last versions of agreements over the stored ones.
insert into agreements (
    id, msisdn, signed_at, service_start_at, service_end_at, billing_period_time_zone, max_bytes_in_billing_period,
    thresholds, anchor_day
)
select
    a.id,
    a.msisdn,
    a.signed_at,
    a.starts_at,
    a.ends_at,
    a.time_zone,
    a.max_bytes,
    cast(translate(a.thresholds, '[]', '{}') as integer[]) as thresholds,
    a.anchor_day
from
    unnest(
        cast(:ids as text[]), cast(:msisdns as text[]), cast(:signed as timestamptz[]),
        cast(:starts as timestamptz[]), cast(:ends as timestamptz[]), cast(:zones as text[]),
        cast(:limits as bigint[]), cast(:thresholds as text[]), cast(:anchor_days as smallint[])
    ) as a (id, msisdn, signed_at, starts_at, ends_at, time_zone, max_bytes, thresholds, anchor_day)
on conflict (id) do update set
    msisdn = excluded.msisdn,
    signed_at = excluded.signed_at,
    service_start_at = excluded.service_start_at,
    service_end_at = excluded.service_end_at,
    billing_period_time_zone = excluded.billing_period_time_zone,
    max_bytes_in_billing_period = excluded.max_bytes_in_billing_period,
    thresholds = excluded.thresholds,
    anchor_day = excluded.anchor_day;

-- name: versions_of_msisdns
-- Reads the versions with these MSISDNs, of all agreements; those of an MSISDN together.
select * from agreement_versions -- noqa: AM04
where msisdn = any(cast(:msisdns as text[]))
order by msisdn;

-- name: delete_services
-- Deletes the services of MSISDNs that are about to be made anew.
delete from agreement_services
where msisdn = any(cast(:msisdns as text[]));

-- name: write_services
-- Writes services of MSISDNs.
insert into agreement_services (
    msisdn, served_from, served_until, agreement_id, billing_period_time_zone, anchor_day
)
select
    s.msisdn,
    s.served_from,
    s.served_until,
    s.agreement_id,
    s.time_zone,
    s.anchor_day
from
    unnest(
        cast(:msisdns as text[]), cast(:from as timestamptz[]), cast(:until as timestamptz[]),
        cast(:ids as text[]), cast(:zones as text[]), cast(:anchor_days as smallint[])
    ) as s (msisdn, served_from, served_until, agreement_id, time_zone, anchor_day);

-- name: open_first_periods
-- Opens for each service of these agreements the period in which it begins, or that in which the agreement arrived if
-- that is later.
select open_periods(array_agg(f.id), array_agg(f.period_start))
from (
    select
        a.id,
        p.period_start
    from agreements as a
    cross join
        lateral (
            select
                s.billing_period_time_zone,
                s.anchor_day,
                greatest(a.arrived_at, s.served_from) as at
            from agreement_services as s
            where s.agreement_id = any(array[a.id]) and s.served_until > a.arrived_at
        ) as s
    inner join billing_periods as p
        on
            p.time_zone = any(array[s.billing_period_time_zone])
            and p.anchor_day = any(array[s.anchor_day])
            and p.period_start <= s.at
            and p.period_end > s.at
    where a.id = any(cast(:ids as text[]))
) as f;

-- name: apply_limits
-- Updates the open periods of these agreements whose limit or thresholds are others now: as if none of the new
-- thresholds was reached, so that all of them are judged next. Returns the periods.
with changed as (
    select
        u.usage_id,
        t.max_bytes,
        t.thresholds
    from data_plan_usage as u
    cross join lateral agreement_terms(u.agreement_id, u.period_end) as t
    where
        u.agreement_id = any(cast(:ids as text[])) and u.status = 'open'
        and (u.max_bytes_in_billing_period, u.thresholds) is distinct from (t.max_bytes, t.thresholds)
)

update data_plan_usage as u set
    max_bytes_in_billing_period = c.max_bytes,
    thresholds = c.thresholds,
    next_threshold_bytes = next_threshold(c.thresholds, c.max_bytes, null)
from changed as c
where u.usage_id = any(array[c.usage_id])
returning u.usage_id;
