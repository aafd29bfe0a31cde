-- What DuckDB does beside our recomputes: it keeps one record of each id and adds up. It does not compare its result
-- with stored totals, and does not write it. The view history is the Parquet files of a Delta table.

-- name: hourly_totals
-- Reads the totals of devices by antenna, app and user.
with records as materialized (
    select distinct on (event_id) * from history
    order by event_id, partition, "offset"
)

select
    'antenna_bytes_total' as type,
    antenna_id,
    sum(bytes) as value
from records
group by antenna_id
union all
select
    'app_bytes_total' as type,
    app,
    sum(bytes) as value
from records
group by app
union all
select
    'user_bytes_total' as type,
    id,
    sum(bytes) as value
from records
group by id;

-- name: monthly_totals
-- Reads the total and the latest record of each agreement. The view owners has the agreement of each MSISDN.
with records as (
    select distinct on (id, event_date, event_hour) * from history
    order by id, event_date, event_hour, partition, "offset"
)

select
    owners.agreement,
    sum(records."recordedBytes") as value,
    max((cast(left(records."recordedAt", 20) as timestamptz), records."internalId")) as latest
from records
inner join owners on records.msisdn = owners.msisdn
group by owners.agreement;

-- name: owners
-- Reads from PostgreSQL the agreement of each MSISDN.
select
    msisdn,
    agreement_id
from plan_ownership
group by msisdn, agreement_id;

-- name: remove_ledger
-- Removes what the ledger says of an earlier history, and the lists of its duplicate and invalid records.
truncate ledger, hours, duplicate_events, invalid_events;

-- name: set_next_offset
-- Makes the ledger say that a history, which no live query has counted, was counted up to an offset.
insert into ledger (feed, partition, topic_id, next_offset) values (:feed, :partition, '', :offset);

-- name: mark_hour
-- Makes an hour of devices dirty.
insert into hours (feed, hour) values ('devices', :hour);
