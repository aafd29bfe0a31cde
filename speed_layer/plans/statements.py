"""The statements that count a micro-batch of agreements and data records.

Temporary tables: ``by_number`` (numbers whose owners are asked for; first_us, last_us: of their records, in
microseconds since 1970), ``records`` (those that are looked at one by one; value: bytes), ``missing`` (numbers whose
records found no segment), ``owed`` (what records that were looked at one by one add, per agreement and period),
``added`` (what is added to each row of data_plan_usage; together: by records that were added up before PostgreSQL had
them), ``noted`` (rows that crossed a threshold or were closed already), ``crossing`` (segments of the former).

Tables that stay are joined by ``= any(array[...])``, which PostgreSQL can do in one way only: row by row, by an index.
``COUNT`` and ``CROSSINGS`` run without nested loops; see ``speed_layer.postgres.lookups``.
"""

from __future__ import annotations

from sqlalchemy import text

from bytemeter.plans.calendars import opening_periods

# The order_key sorts records by (recordedAt, internalId): both in one text, compared byte by byte.
TEMPORARY_TABLES = """
create temporary table by_number (
    number bigint not null,
    msisdn text collate "C" not null,
    first_us bigint not null,
    last_us bigint not null
) on commit delete rows;

create temporary table records (
    partition integer not null,
    record_offset bigint not null,
    event_us bigint not null,
    value bigint not null,
    msisdn text collate "C" not null,
    order_key text collate "C" not null
) on commit delete rows;

create temporary table missing (
    msisdn text collate "C" not null,
    first_us bigint not null,
    last_us bigint not null
) on commit delete rows;

create temporary table owed (
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    bytes bigint not null,
    latest_key text collate "C" not null
) on commit delete rows;

create temporary table added (
    usage_id bigint not null,
    bytes bigint not null,
    latest_at timestamptz not null,
    together boolean not null,
    latest text collate "C" not null
) on commit delete rows;

create temporary table noted (
    usage_id bigint not null,
    base bigint not null,
    total bigint not null,
    next_threshold bigint,
    closed boolean not null
) on commit delete rows;

create temporary table crossing (
    usage_id bigint not null,
    base bigint not null,
    next_threshold bigint not null,
    agreement_id text collate "C" not null,
    period_start timestamptz not null,
    year integer not null,
    month integer not null,
    zone text collate "C" not null,
    max_bytes bigint not null,
    thresholds integer[] not null,
    msisdn text collate "C" not null,
    served_from_us bigint not null,
    served_until_us bigint not null
) on commit delete rows;
"""

RELEASE = text("""
with released as (
    delete from unmatched_records where msisdn = any(cast(:msisdns as text [])) returning *
),

taken as (
    insert into records (partition, record_offset, event_us, value, msisdn, order_key)
    select
        partition, record_offset, recorded_us, recorded_bytes, msisdn,
        lpad(cast(recorded_us as text), 16, '0') || internal_record_id
    from released
)

select partition, count(*) as n from released group by partition
""")

FIND_MISSING = text("""
insert into missing (msisdn, first_us, last_us)
select r.msisdn, min(r.event_us), max(r.event_us)
from records as r
left join plan_segments as s
    on s.msisdn = any(array[r.msisdn]) and s.served_from_us <= r.event_us and r.event_us < s.served_until_us
where s.msisdn is null
group by r.msisdn
""")

CALENDARS_OF_MISSING = text("""
select
    a.billing_period_time_zone as time_zone, a.anchor_day,
    cast(extract(year from from_us(min(m.first_us))) as integer) as first,
    cast(extract(year from from_us(max(m.last_us))) as integer) as last
from missing as m
inner join agreements as a on a.msisdn = any(array[m.msisdn])
group by a.billing_period_time_zone, a.anchor_day
""")

# With an offset, PostgreSQL asks the view for one number after the other.
MAKE_SEGMENTS = text("""
insert into plan_segments (msisdn, served_from_us, served_until_us, agreement_id, period_start)
select o.msisdn, to_us(o.served_from), to_us(o.served_until), o.agreement_id, o.period_start
from missing as m
cross join lateral (
    select *
    from plan_ownership as p
    where
        p.msisdn = m.msisdn
        and p.period_start <= from_us(m.last_us)
        and p.period_end > from_us(m.first_us)
        and p.served_from <= from_us(m.last_us)
        and p.served_until > from_us(m.first_us)
    offset 0
) as o
on conflict do nothing
""")

SET_UNMATCHED_APART = text("""
with unowned as (
    delete from records as r
    where not exists (
        select from plan_segments as s
        where s.msisdn = any(array[r.msisdn]) and s.served_from_us <= r.event_us and r.event_us < s.served_until_us
    )
    returning *
),

waiting as (
    insert into unmatched_records (
        partition, record_offset, msisdn, recorded_us, recorded_bytes, internal_record_id
    )
    select partition, record_offset, msisdn, event_us, value, substr(order_key, 17) from unowned
)

select partition, count(*) as n from unowned group by partition
""")

ADD_UP = text("""
insert into owed (agreement_id, period_start, bytes, latest_key)
select s.agreement_id, s.period_start, sum(r.value), max(r.order_key)
from records as r
inner join plan_segments as s
    on s.msisdn = any(array[r.msisdn]) and s.served_from_us <= r.event_us and r.event_us < s.served_until_us
group by s.agreement_id, s.period_start
""")

# Periods that have a record for the first time.
MAKE_PERIODS = opening_periods("""
from owed as o
inner join agreements as a on a.id = any(array[o.agreement_id])
inner join billing_periods as p
    on p.time_zone = a.billing_period_time_zone
    and p.anchor_day = a.anchor_day
    and p.period_start = o.period_start
left join data_plan_usage as u on u.agreement_id = any(array[o.agreement_id]) and u.period_start = o.period_start
where u.agreement_id is null
""")

NOTE_USAGE_IDS = text("""
update plan_segments as s set usage_id = u.usage_id
from data_plan_usage as u
where
    s.msisdn = any(array(select distinct msisdn from records))
    and s.usage_id is null
    and u.agreement_id = any(array[s.agreement_id]) and u.period_start = s.period_start
""")

ADD_OWED = text("""
insert into added (usage_id, bytes, latest_at, together, latest)
select
    u.usage_id, o.bytes, from_us(cast(substr(o.latest_key, 1, 16) as bigint)), false, substr(o.latest_key, 17)
from owed as o
inner join data_plan_usage as u on u.agreement_id = any(array[o.agreement_id]) and u.period_start = o.period_start
""")

COUNT = text("""
with counted as (
    update data_plan_usage as u set
        total_recorded_bytes = u.total_recorded_bytes + a.bytes,
        latest_recorded_at = greatest(u.latest_recorded_at, a.latest_at),
        latest_internal_record_id = case
            when (u.latest_recorded_at, u.latest_internal_record_id) > (a.latest_at, a.latest)
                then u.latest_internal_record_id
            else a.latest
        end
    from added as a
    where
        a.together = :together
        and u.usage_id = any(array(select usage_id from added where together = :together))
        and u.usage_id = a.usage_id
    returning u.usage_id, u.total_recorded_bytes, a.bytes, u.next_threshold_bytes, u.status
),

noting as (
    insert into noted (usage_id, base, total, next_threshold, closed)
    select usage_id, total_recorded_bytes - bytes, total_recorded_bytes, next_threshold_bytes, status = 'closed'
    from counted
    where total_recorded_bytes >= next_threshold_bytes or status = 'closed'
    returning total >= next_threshold as crossed, closed
)

select
    (select count(*) from counted) as rows,
    exists (select from noting where crossed) as crossed,
    exists (select from noting where closed) as closed
""")

LACKING = text("""
select a.usage_id
from added as a
left join data_plan_usage as u on u.usage_id = any(array[a.usage_id])
where u.usage_id is null
""")

FIND_CROSSING = text("""
insert into crossing
select
    u.usage_id, n.base, n.next_threshold, u.agreement_id, u.period_start, u.year, u.month, a.billing_period_time_zone,
    a.max_bytes_in_billing_period, a.thresholds, s.msisdn, s.served_from_us, s.served_until_us
from noted as n
inner join data_plan_usage as u on u.usage_id = any(array[n.usage_id])
inner join agreements as a on a.id = any(array[u.agreement_id])
inner join plan_segments as s
    on s.msisdn = any(array[a.msisdn])
    and s.agreement_id = any(array[u.agreement_id])
    and s.period_start = u.period_start
where n.total >= n.next_threshold
""")

NUMBERS_THAT_CROSS = text("select msisdn from crossing")

# As if the records had come one by one: a threshold is crossed by the record that brings the running total to it. The
# first record also crosses those that the total had reached before it: a limit of 0.
CROSSINGS = text("""
with running as (
    select
        c.*, r.order_key, r.value,
        c.base + cast(sum(r.value) over one_by_one as bigint) as total,
        row_number() over one_by_one as number
    from crossing as c
    inner join records as r
        on r.msisdn = c.msisdn and c.served_from_us <= r.event_us and r.event_us < c.served_until_us
    window one_by_one as (
        partition by c.usage_id
        order by r.order_key, r.partition, r.record_offset
        rows unbounded preceding
    )
)

select
    r.agreement_id, r.period_start, r.year, r.month, r.zone, r.max_bytes as "limit",
    t.percent, b.bytes as threshold_bytes, r.total as total_bytes,
    from_us(cast(substr(r.order_key, 1, 16) as bigint)) as latest_recorded_at,
    substr(r.order_key, 17) as latest_record
from running as r
cross join lateral unnest(r.thresholds) as t (percent)
cross join lateral (select threshold_bytes(t.percent, r.max_bytes) as bytes) as b
where
    r.total >= r.next_threshold
    and b.bytes between r.next_threshold and r.total
    and (b.bytes > r.total - r.value or r.number = 1)
order by r.agreement_id, r.period_start, b.bytes, t.percent
""")

SET_NEXT_THRESHOLDS = text("""
update data_plan_usage as u set
    next_threshold_bytes = next_threshold(a.thresholds, a.max_bytes_in_billing_period, u.total_recorded_bytes)
from noted as n, agreements as a
where n.total >= n.next_threshold and u.usage_id = any(array[n.usage_id]) and a.id = any(array[u.agreement_id])
""")

AMEND = text("""
update data_plan_usage as u set amendments = u.amendments + 1
from noted as n, agreements as a
where n.closed and u.usage_id = any(array[n.usage_id]) and a.id = any(array[u.agreement_id])
returning
    u.agreement_id, u.period_start, u.year, u.month,
    a.billing_period_time_zone as zone, a.max_bytes_in_billing_period as "limit",
    u.total_recorded_bytes as total_bytes, u.latest_recorded_at, u.latest_internal_record_id as latest_record,
    u.amendments as ordinal
""")
