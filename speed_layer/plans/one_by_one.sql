-- name: release_unmatched
-- Moves records of these MSISDNs from unmatched_records to single_records. Returns how many they are, by partition.
with released as (
    delete from unmatched_records
    where msisdn = any(cast(:msisdns as text[])) returning *
),

moved as (
    insert into single_records (partition, record_offset, msisdn, event_us, internal_id, bytes)
    select
        partition,
        record_offset,
        msisdn,
        recorded_us,
        internal_record_id,
        recorded_bytes
    from released
)

select
    partition,
    count(*) as records
from released
group by partition;

-- name: find_periods
-- Gives each of single_records the billing period of the ownership span that contains its event time.
update single_records as r set usage_id = s.usage_id
from plan_segments as s
where
    r.usage_id is null
    and s.usage_id is not null
    and s.msisdn = any(array[r.msisdn]) and s.served_from_us <= r.event_us and r.event_us < s.served_until_us;

-- name: needed_calendars
-- Reads the calendars of msisdns_without_period, and the years of their records.
select
    s.billing_period_time_zone as time_zone,
    s.anchor_day,
    cast(extract(year from from_us(min(m.first_us))) as integer) as first_year,
    cast(extract(year from from_us(max(m.last_us))) as integer) as last_year
from msisdns_without_period as m
inner join agreement_services as s on s.msisdn = any(array[m.msisdn])
group by s.billing_period_time_zone, s.anchor_day;

-- name: make_spans
-- Writes the ownership spans of msisdns_without_period from the first to the last event time of their records. With an
-- offset, PostgreSQL asks the view for one MSISDN after the other.
insert into plan_segments (msisdn, served_from_us, served_until_us, agreement_id, period_start)
select
    o.msisdn,
    to_us(o.served_from) as served_from_us,
    to_us(o.served_until) as served_until_us,
    o.agreement_id,
    o.period_start
from msisdns_without_period as m
cross join
    lateral (
        select p.*
        from plan_ownership as p
        where
            p.msisdn = m.msisdn
            and p.period_start <= from_us(m.last_us)
            and p.period_end > from_us(m.first_us)
            and p.served_from <= from_us(m.last_us)
            and p.served_until > from_us(m.first_us)
        offset 0 -- noqa: AM09
    ) as o
on conflict do nothing;

-- name: open_periods_of_records
-- Opens the billing periods of spans that contain records for the first time.
select open_periods(array_agg(o.agreement_id), array_agg(o.period_start))
from (
    select distinct
        s.agreement_id,
        s.period_start
    from single_records as r
    inner join plan_segments as s
        on s.msisdn = any(array[r.msisdn]) and s.served_from_us <= r.event_us and r.event_us < s.served_until_us
    where r.usage_id is null and s.usage_id is null
) as o;

-- name: note_periods
-- Notes the usage_id of spans whose billing period has been opened.
update plan_segments as s set usage_id = u.usage_id
from data_plan_usage as u
where
    s.msisdn = any(array(select msisdn from msisdns_without_period))
    and s.usage_id is null
    and u.agreement_id = any(array[s.agreement_id]) and u.period_start = s.period_start;

-- name: set_unmatched_apart
-- Moves records without a billing period from single_records to unmatched_records: they have no owner. Returns how many
-- they are, by partition.
with unmatched as (
    delete from single_records
    where usage_id is null returning *
),

moved as (
    insert into unmatched_records (
        partition, record_offset, msisdn, recorded_us, internal_record_id, recorded_bytes
    )
    select
        partition,
        record_offset,
        msisdn,
        event_us,
        internal_id,
        bytes
    from unmatched
)

select
    partition,
    count(*) as records
from unmatched
group by partition;

-- name: sum_single_records
-- Writes to additions, for each billing period, the bytes of its single_records and the latest of them.
insert into additions (usage_id, one_by_one, bytes, latest_at, latest_record)
select distinct on (usage_id)
    usage_id,
    true as one_by_one,
    sum(bytes) over (partition by usage_id) as bytes,
    from_us(event_us) as latest_at,
    internal_id
from single_records
order by usage_id asc, event_us desc, internal_id desc;
