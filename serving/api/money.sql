-- name: zone
-- Reads the time zone of billing months; no row before the first event.
select zone from billing_zone;

-- name: months
-- Reads totals of billing months behind a place, in the order of months and ids. A total is that of the batch view as
-- long as the last recompute of its month has found the same.
select
    live.month,
    live.id,
    live.total,
    coalesce(batch.total = live.total, false) as recomputed,
    recomputes.as_of as recomputed_at
from billable_monthly as live
left join billable_recomputed as batch
    on live.month = batch.month and live.dimension = batch.dimension and live.id = batch.id
left join billable_recomputes as recomputes on live.month = recomputes.month
where
    live.month >= :since and live.month < :until
    and (live.month, live.id) > (:after_month, :after_id)
    and live.dimension = :dimension
    and (cast(:id as text) is null or live.id = :id)
order by live.month, live.id
limit :most;

-- name: bill
-- Reads the zone of billing months, and the total of a customer or a type in the month that starts at an instant, rounded
-- for people; null without events in that month: then whether there was ever an event. And when this was read.
select
    now() as now,
    (
        select max(ledger.updated_at) from ledger
        where ledger.feed = 'billable-events'
    ) as counted_at,
    (select billing_zone.zone from billing_zone) as zone,
    b.month,
    b.total_eur,
    b.total,
    b.rounding,
    b.id is not null or exists (
        select from billable_monthly
        where dimension = :dimension and id = :id
    ) as known
from (values (1)) as once
left join billable_by_month as b on b.dimension = :dimension and b.id = :id and b.month_start = :start;
