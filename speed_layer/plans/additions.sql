-- name: add_to_periods
-- Adds rows of the temporary table additions to data_plan_usage, and keeps the later one of two latest records. Returns
-- one row: how many periods were updated, which of them reach their next threshold, and which were closed before.
-- Runs without nested loops: the index on usage_id is given all keys at once, see speed_layer.postgres.lookups.
with counted as (
    update data_plan_usage as u set
        total_recorded_bytes = u.total_recorded_bytes + a.bytes,
        latest_recorded_at = greatest(u.latest_recorded_at, a.latest_at),
        latest_internal_record_id = case
            when (u.latest_recorded_at, u.latest_internal_record_id) > (a.latest_at, a.latest_record)
                then u.latest_internal_record_id
            else a.latest_record
        end
    from additions as a
    where
        a.one_by_one = :one_by_one
        and u.usage_id = any(array(
            select usage_id from additions
            where one_by_one = :one_by_one
        ))
        and u.usage_id = a.usage_id
    returning u.usage_id, u.total_recorded_bytes, u.next_threshold_bytes, u.status
)

select
    count(*) as periods,
    coalesce(
        array_agg(usage_id) filter (where is_reached(total_recorded_bytes, next_threshold_bytes)), '{}'
    ) as reached,
    coalesce(array_agg(usage_id) filter (where status = 'closed'), '{}') as closed
from counted;

-- name: lacking_periods
-- Reads which rows of additions have no billing period: it was dropped since its usage_id was read.
select a.usage_id
from additions as a
left join data_plan_usage as u on u.usage_id = any(array[a.usage_id])
where u.usage_id is null;
