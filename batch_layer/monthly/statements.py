"""The SQL of the monthly job for data plans, over what it has staged.

Temporary tables of the session: ``live_then`` (what the live query had counted of the month at the snapshot) and
``differences`` (what the recompute finds otherwise).
"""

from __future__ import annotations

from sqlalchemy import text

LOCK = text("select pg_try_advisory_lock(hashtextextended('bytemeter/monthly', 0))")

CLEAR_STAGED = text("truncate staged_monthly, monthly_ownership, staged_plan_usage")

COUNTED = text("select feed, partition, next_offset from ledger order by feed, partition")

CALENDARS = text("""
select distinct billing_period_time_zone as time_zone, anchor_day from agreements
""")

OWNERSHIP = text("""
insert into monthly_ownership (msisdn, served_from_us, served_until_us, agreement_id, period_start)
select msisdn, to_us(served_from), to_us(served_until), agreement_id, period_start
from plan_ownership
where year = :year and month = :month
""")

SPAN = text("""
select min(served_from_us) as first_us, max(served_until_us) as last_us, count(*) as stretches from monthly_ownership
""")

LIVE_THEN = text("""
create temporary table live_then as
select * from data_plan_usage where year = :year and month = :month
""")

# A period without records that nobody opened yet counts as unchanged.
FIND_DIFFERENCES = text("""
create temporary table differences on commit drop as
select
    agreement_id, period_start,
    coalesce(l.total_recorded_bytes, 0) as before, coalesce(s.bytes, 0) as after,
    l.latest_recorded_at as latest_then_at, l.latest_internal_record_id as latest_then,
    from_us(s.latest_us) as latest_at, s.latest
from live_then as l
full join (select * from staged_plan_usage where attempt = :attempt) as s using (agreement_id, period_start)
where
    coalesce(l.total_recorded_bytes, 0) <> coalesce(s.bytes, 0)
    or (l.latest_recorded_at, l.latest_internal_record_id) is distinct from (from_us(s.latest_us), s.latest)
""")

COUNT_DIFFERENCES = text("select count(*) from differences")

FIRST_DIFFERENCES = text("""
select agreement_id, period_start, before, after from differences order by agreement_id, period_start limit :most
""")

# Thresholds that the live total had not reached and the recomputed one has.
MISSED = text("""
select
    s.agreement_id, s.period_start, threshold_bytes(t.percent, a.max_bytes_in_billing_period) as threshold_bytes
from staged_plan_usage as s
inner join agreements as a on a.id = s.agreement_id
cross join lateral unnest(a.thresholds) as t (percent)
left join live_then as l on l.agreement_id = s.agreement_id and l.period_start = s.period_start
where
    s.attempt = :attempt
    and threshold_bytes(t.percent, a.max_bytes_in_billing_period) <= s.bytes
    and (
        l.agreement_id is null
        or threshold_bytes(t.percent, a.max_bytes_in_billing_period) >= l.next_threshold_bytes
    )
""")

LOCK_LEDGER = text("select from ledger where feed = any(cast(:feeds as text [])) order by feed, partition for update")

# Periods that have records of which the live query knew nothing, and those that were never opened because the period
# before did not close: they close, too.
OPEN_PERIODS = text("""
insert into data_plan_usage (agreement_id, period_start, period_end, year, month, next_threshold_bytes)
select distinct
    o.agreement_id, o.period_start, o.period_end, o.year, o.month,
    next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
from plan_ownership as o
inner join agreements as a on a.id = o.agreement_id
left join differences as d on d.agreement_id = o.agreement_id and d.period_start = o.period_start
where
    o.year = :year and o.month = :month
    and (d.after > 0 or d.latest is not null or (o.period_end > a.arrived_at and o.period_start <= :now))
on conflict do nothing
""")

# What was counted since the snapshot stays: totals are corrected by differences, and a later latest record stands.
CORRECT = text("""
update data_plan_usage as u set
    total_recorded_bytes = u.total_recorded_bytes + d.after - d.before,
    latest_recorded_at = case when c.since then u.latest_recorded_at else d.latest_at end,
    latest_internal_record_id = case when c.since then u.latest_internal_record_id else d.latest end
from differences as d
inner join data_plan_usage as v on v.agreement_id = d.agreement_id and v.period_start = d.period_start
cross join lateral (
    select
        (v.latest_recorded_at, v.latest_internal_record_id) is distinct from (d.latest_then_at, d.latest_then)
        and (
            d.latest_at is null
            or (v.latest_recorded_at, v.latest_internal_record_id) > (d.latest_at, d.latest)
        ) as since
) as c
where u.agreement_id = d.agreement_id and u.period_start = d.period_start
""")

CROSSED = text("""
select agreement_id, period_start
from data_plan_usage
where
    year = :year and month = :month
    and latest_recorded_at is not null and total_recorded_bytes >= next_threshold_bytes
order by agreement_id, period_start
""")

# Of a period that is open only those are told of whom something was told before.
AMEND = text("""
update data_plan_usage as u set amendments = u.amendments + 1
from differences as d
inner join agreements as a on a.id = d.agreement_id
where
    d.before <> d.after
    and u.agreement_id = d.agreement_id and u.period_start = d.period_start
    and (
        u.status = 'closed'
        or exists (
            select from threshold_events as e
            where e.agreement_id = d.agreement_id and e.period_start = d.period_start
        )
    )
returning
    u.agreement_id, u.period_start, u.year, u.month, u.status,
    a.billing_period_time_zone as zone, a.max_bytes_in_billing_period as "limit",
    u.total_recorded_bytes as total_bytes, u.latest_recorded_at, u.latest_internal_record_id as latest_record,
    u.amendments as ordinal
""")

# Totals that fell below thresholds: those can be reached again, though no event is emitted twice.
SET_NEXT_THRESHOLDS = text("""
update data_plan_usage as u set
    next_threshold_bytes = next_threshold(
        a.thresholds,
        a.max_bytes_in_billing_period,
        case when u.latest_recorded_at is not null then u.total_recorded_bytes end
    )
from differences as d
inner join agreements as a on a.id = d.agreement_id
where u.agreement_id = d.agreement_id and u.period_start = d.period_start
""")
