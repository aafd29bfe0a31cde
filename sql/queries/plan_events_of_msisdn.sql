-- What was emitted for a number, and from which records: each event with the record that crossed the threshold (or the
-- latest one), how long after it was recorded the event was emitted, and when Kafka had it.
--   bytemeter psql -v msisdn=48500000000 -f sql/queries/plan_events_of_msisdn.sql
select
    events.type,
    events.threshold_percent,
    events.threshold_bytes,
    events.total_recorded_bytes,
    events.latest_internal_record_id,
    events.latest_recorded_at,
    events.emitted_at,
    events.published_at,
    events.source,
    events.period_start,
    events.agreement_id,
    events.event_id
from threshold_events as events
inner join agreements on events.agreement_id = agreements.id
where agreements.msisdn = :'msisdn'
order by events.sequence;
