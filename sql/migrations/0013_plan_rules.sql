-- The rules of data plans, each once. Functions that are one expression, or one SELECT over their arguments, are
-- expanded by PostgreSQL into the statements that call them.

create function is_reached(total bigint, threshold_bytes bigint) returns boolean
language sql immutable parallel safe
return total >= threshold_bytes;
comment on function is_reached is
'whether a total reaches a threshold; null where there is no total: the period has no record';

create function thresholds_in_bytes(percents integer[], max_bytes bigint)
returns table (percent integer, threshold_bytes bigint)
language sql immutable parallel safe
as $$
    select p.percent, threshold_bytes(p.percent, max_bytes) from unnest(percents) as p (percent)
$$;
comment on function thresholds_in_bytes is 'the thresholds of a limit: percent, and the least total that reaches it';

create or replace function next_threshold(thresholds integer[], max_bytes bigint, total bigint) returns bigint
language sql immutable parallel safe
as $$
    select min(t.threshold_bytes)
    from thresholds_in_bytes(thresholds, max_bytes) as t
    where is_reached(total, t.threshold_bytes) is not true
$$;
comment on function next_threshold is
'the least threshold that the total does not reach, null if it reaches all; a null total, of no record, reaches none';

-- The columns by which billing periods are judged, and which a threshold event carries. The agreement is looked up by
-- its key, row by row: select periods by their usage_id.
create view judged_periods as
select
    u.usage_id,
    u.agreement_id,
    u.period_start,
    u.period_end,
    u.year,
    u.month,
    u.status,
    a.billing_period_time_zone as zone,
    a.max_bytes_in_billing_period as "limit",
    a.thresholds,
    u.total_recorded_bytes as total_bytes,
    case when u.latest_recorded_at is not null then u.total_recorded_bytes end as counted_bytes,
    u.latest_recorded_at,
    u.latest_internal_record_id as latest_record,
    u.next_threshold_bytes,
    u.amendments
from data_plan_usage as u
inner join agreements as a on a.id = any(array[u.agreement_id]);
comment on view judged_periods is
'internal: the columns of billing periods that threshold events carry; select by usage_id';
comment on column judged_periods.counted_bytes is 'the total, null as long as the period has no record';

create function open_periods(agreement_ids text[], starts timestamptz[]) returns void
language sql
as $$
    insert into data_plan_usage (agreement_id, period_start, period_end, year, month, next_threshold_bytes)
    select
        a.id,
        p.period_start,
        p.period_end,
        p.year,
        p.month,
        next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
    from unnest(agreement_ids, starts) as opened (agreement_id, period_start)
    inner join agreements as a on a.id = any(array[opened.agreement_id])
    inner join billing_periods as p
        on
            p.time_zone = a.billing_period_time_zone
            and p.anchor_day = a.anchor_day
            and p.period_start = opened.period_start
    on conflict do nothing
$$;
comment on function open_periods is
'opens billing periods, with 0 bytes and no threshold reached; periods that exist stay as they are';

comment on column agreements.served_until is
'when the next agreement of the MSISDN starts: from then on its records belong to that one';
comment on table plan_segments is
'ownership spans: in [served_from_us, served_until_us), microseconds since 1970, the records of an MSISDN belong to one
billing period of one agreement';
