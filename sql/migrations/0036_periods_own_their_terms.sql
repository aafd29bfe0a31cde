-- Stored boundaries of billing periods never move, and PostgreSQL refuses two periods of a calendar that overlap.
create extension if not exists btree_gist;
alter table billing_periods
add constraint billing_periods_end_after_their_start check (period_start < period_end),
add constraint billing_periods_do_not_overlap exclude using gist (
    time_zone with =, anchor_day with =, tstzrange(period_start, period_end) with &&
);

-- Limit, thresholds and time zone belong to the period: a closed one is judged by those that it had.
alter table data_plan_usage
add column billing_period_time_zone text collate "C",
add column max_bytes_in_billing_period bigint check (max_bytes_in_billing_period >= 0),
add column thresholds integer[];
update data_plan_usage as u set
    billing_period_time_zone = a.billing_period_time_zone,
    max_bytes_in_billing_period = a.max_bytes_in_billing_period,
    thresholds = a.thresholds
from agreements as a
where a.id = u.agreement_id;
alter table data_plan_usage
alter column billing_period_time_zone set not null,
alter column max_bytes_in_billing_period set not null,
alter column thresholds set not null;
comment on column data_plan_usage.max_bytes_in_billing_period is
'the limit by which the period is judged; of a closed period it does not change any more';
comment on column data_plan_usage.thresholds is 'percents of the limit, ascending; 100 is always one';

create or replace view judged_periods as
select
    u.usage_id,
    u.agreement_id,
    u.period_start,
    u.period_end,
    u.year,
    u.month,
    u.status,
    u.billing_period_time_zone as zone,
    u.max_bytes_in_billing_period as "limit",
    u.thresholds,
    u.total_recorded_bytes as total_bytes,
    case when u.latest_recorded_at is not null then u.total_recorded_bytes end as counted_bytes,
    u.latest_recorded_at,
    u.latest_internal_record_id as latest_record,
    u.next_threshold_bytes,
    u.amendments
from data_plan_usage as u;

create or replace view plan_progress as
select
    plan_usage.agreement_id,
    agreements.msisdn,
    plan_usage.billing_period_time_zone,
    plan_usage.period_start,
    plan_usage.period_end,
    plan_usage.year,
    plan_usage.month,
    plan_usage.year || '-' || lpad(plan_usage.month::text, 2, '0') as billing_month,
    plan_usage.status,
    plan_usage.period_start <= now() and plan_usage.period_end > now() as running,
    plan_usage.total_recorded_bytes,
    plan_usage.max_bytes_in_billing_period,
    round(100.0 * plan_usage.total_recorded_bytes / nullif(plan_usage.max_bytes_in_billing_period, 0), 1)
        as percent_used,
    least(100 * plan_usage.total_recorded_bytes / nullif(plan_usage.max_bytes_in_billing_period, 0) / 10 * 10, 100)
        as tenth,
    plan_usage.latest_recorded_at is not null
    and plan_usage.total_recorded_bytes >= plan_usage.max_bytes_in_billing_period as over,
    round(
        100 * extract(epoch from least(now(), plan_usage.period_end) - plan_usage.period_start)
        / extract(epoch from plan_usage.period_end - plan_usage.period_start),
        1
    ) as percent_of_period,
    plan_usage.latest_recorded_at
from data_plan_usage as plan_usage
inner join agreements on plan_usage.agreement_id = agreements.id;

create or replace view plan_events as
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
    coalesce(plan_usage.max_bytes_in_billing_period, agreements.max_bytes_in_billing_period)
        as max_bytes_in_billing_period,
    threshold_events.latest_recorded_at,
    threshold_events.latest_internal_record_id,
    threshold_events.published_at,
    threshold_events.source,
    threshold_events.event_id
from threshold_events
inner join agreements on threshold_events.agreement_id = agreements.id
left join data_plan_usage as plan_usage
    on
        threshold_events.agreement_id = plan_usage.agreement_id
        and threshold_events.period_start = plan_usage.period_start;
