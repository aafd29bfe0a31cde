-- name: events_behind
-- Reads threshold events behind a position, in the order of positions; a filter that is null lets all pass.
select
    e.position,
    e.event_id,
    e.agreement_id,
    a.msisdn,
    e.type,
    e.emitted_at,
    e.source,
    e.payload
from threshold_events as e
inner join agreements as a on e.agreement_id = a.id
where
    e.position > :after
    and (cast(:until as bigint) is null or e.position <= :until)
    and (cast(:msisdn as text) is null or a.msisdn = :msisdn)
    and (cast(:agreement as text) is null or e.agreement_id = :agreement)
    and (cast(:type as text) is null or e.type = :type)
    and (cast(:emitted_from as timestamptz) is null or e.emitted_at >= :emitted_from)
    and (cast(:emitted_to as timestamptz) is null or e.emitted_at < :emitted_to)
order by e.position
limit :most;

-- name: last_position
-- Reads the highest position that was given.
select position from last_event_position;

-- name: number_events
-- Gives committed events that have none their positions.
select number_threshold_events();
