-- name: find_crossings
-- Reads single_records, and returns for each of these thresholds, in their order, the record that crossed it: as if the
-- records of a period had come one by one, the one that brings the running total to the threshold. A limit of 0 is
-- reached by a total of 0: the first record crosses its thresholds. Runs without nested loops.
-- totals: of the periods, with all of their records.
with thresholds as (
    select
        t.usage_id,
        t.threshold_bytes,
        t.total,
        t.place
    from unnest(
        cast(:usage_ids as bigint[]), cast(:thresholds as bigint[]), cast(:totals as bigint[])
    ) with ordinality as t (usage_id, threshold_bytes, total, place)
),

ordered as (
    select
        usage_id,
        event_us,
        internal_id,
        bytes,
        row_number() over one_by_one = 1 as is_first,
        sum(bytes) over (partition by usage_id) - sum(bytes) over one_by_one as bytes_after
    from single_records
    where usage_id = any(cast(:usage_ids as bigint[]))
    window one_by_one as (
        partition by usage_id
        order by event_us, internal_id, partition, record_offset
        rows unbounded preceding
    )
),

running as (
    select
        t.place,
        t.threshold_bytes,
        r.event_us,
        r.internal_id,
        r.bytes,
        r.is_first,
        cast(t.total - r.bytes_after as bigint) as total
    from thresholds as t
    inner join ordered as r on t.usage_id = r.usage_id
)

select
    total,
    event_us,
    internal_id
from running
where is_reached(total, threshold_bytes) and (is_first or not is_reached(total - bytes, threshold_bytes))
order by place;
