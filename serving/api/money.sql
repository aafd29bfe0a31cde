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

-- name: month_of_id
-- Reads the total of a customer or a type in a month, rounded for people; no row without events in that month.
select
    month,
    total_eur,
    total,
    rounding,
    as_of
from billable_by_month
where dimension = :dimension and id = :id and month_start = :start;

-- name: is_known
-- Reads whether there was ever an event of a customer.
select count(*) > 0 as known
from billable_monthly
where dimension = :dimension and id = :id;
