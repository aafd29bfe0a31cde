-- The table into which Flink writes live totals.

-- name: remove_totals_table
-- Drops what an earlier job has written.
drop table if exists flink_totals;

-- name: create_totals_table
-- The same key and fill factor as our live table.
create table flink_totals (
    type text collate "C",
    id text collate "C",
    window_s bigint,
    value bigint not null,
    primary key (type, id, window_s)
) with (fillfactor = 70);

-- name: bytes_by_dimension
-- Reads the bytes that Flink has counted in each dimension.
select
    type,
    sum(value)::bigint as bytes
from flink_totals
group by type;
