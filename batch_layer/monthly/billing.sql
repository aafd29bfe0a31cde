-- name: keep_then
-- Writes the temporary table billable_then, which stays for the session: the month's totals as the live query had
-- counted them at the snapshot.
create temporary table billable_then as
select
    dimension,
    id,
    total
from billable_monthly
where month = :month;

-- name: snapshot_at
-- Reads the instant of the snapshot.
select now();

-- name: find_corrections
-- Writes the temporary table corrections: the totals in which recompute and snapshot differ, and by how much.
create temporary table corrections on commit drop as
select
    coalesce(r.type, t.dimension) as dimension,
    coalesce(r.id, t.id) as id,
    coalesce(r.value, 0) - coalesce(t.total, 0) as delta,
    r.value is null as gone
from recomputed as r
full join billable_then as t on r.type = t.dimension and r.id = t.id
where r.value is distinct from t.total;

-- name: correct_live
-- Adds the corrections to the live totals.
insert into billable_monthly (month, dimension, id, total)
select
    :month as month,
    dimension,
    id,
    delta
from corrections
order by dimension, id
on conflict (month, dimension, id) do update set total = billable_monthly.total + excluded.total;

-- name: remove_gone
-- Removes live totals of which no record is left.
delete from billable_monthly as l
using corrections as c
where l.month = :month and l.dimension = c.dimension and l.id = c.id and c.gone and l.total = 0;

-- name: note_recompute
-- Notes when the month was recomputed.
insert into billable_recomputes (month, as_of, corrected)
values (:month, :at, :corrected)
on conflict (month) do update set as_of = excluded.as_of, corrected = excluded.corrected;

-- name: version
-- Reads the version of the month's events.
select version from billing_months
where month = :month;

-- name: mark_billed
-- Notes up to which version the month's events were billed. It is that of the snapshot: events that were counted since
-- keep the month dirty.
update billing_months set billed_version = :version, dirty_since = :at
where month = :month;

-- name: dirty_months
-- Reads the billing months that were over at an instant and that a run would change.
select name from dirty_months
where ends_at <= :before
order by month;
