-- name: moment
-- Reads when this snapshot was taken, and the last micro-batch that it has.
select
    now() as now,
    (
        select max(updated_at) from ledger
        where feed = :feed
    ) as counted_at;

-- name: totals
-- Reads the first totals of windows, in the order of windows and ids: of each window its number, whether a recompute has
-- seen all of its records, whether a part of it comes from the live view, its ids and their totals. And when this was
-- read. A window is given hour by hour: the hour's number, and which twelfths of it are the window's. Hours without
-- records are left out.
with touched as materialized (
    select
        parts.number,
        parts.since,
        parts.until,
        hours.hour,
        not hours.dirty as clean,
        {from_live} as from_live,
        case when parts.number = 0 then cast(:after as text) else '' end as after
    from unnest(
        cast(:numbers as integer[]), cast(:hours as integer[]), cast(:sinces as integer[]), cast(:untils as integer[])
    ) as parts (number, hour, since, until)
    inner join hours
        on
            hours.feed = :feed
            and hours.hour = cast(:first as timestamptz) + parts.hour * interval '1 hour'
),

found as (
    select
        rows.number,
        rows.id,
        sum(rows.value) as value
    from ({rows}) as rows
    group by rows.number, rows.id
    order by rows.number, rows.id
    limit :most
),

of_windows as (
    select
        number,
        json_agg(id order by id) as ids,
        json_agg(value order by id) as sizes
    from found
    group by number
),

states as (
    select
        number,
        bool_and(clean) as clean,
        bool_or(from_live) as from_live
    from touched
    group by number
)

select
    now() as now,
    (
        select max(ledger.updated_at) from ledger
        where ledger.feed = :feed
    ) as counted_at,
    (
        select
            json_agg(
                json_build_array(o.number, s.clean, s.from_live, o.ids, o.sizes)
                order by o.number
            )
        from of_windows as o
        inner join states as s on o.number = s.number
    )::text as windows;

-- name: live
-- Reads what the live view has of the hours that are taken from it.
select
    touched.number,
    found.id,
    found.value
from touched
inner join (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11)) as twelfths (n)
    on touched.since <= twelfths.n and twelfths.n < touched.until
cross join lateral ({totals}) as found
where touched.from_live

-- name: batch
-- Reads what the batch view has of the other hours.
select
    touched.number,
    found.id,
    found.value
from touched
cross join lateral ({totals}) as found
where not touched.from_live

-- name: totals_at
-- Reads the totals of one type at an instant of one hour.
select
    {id} as id,
    {value} as value
from {table}
where
    {of_feed}
    and {type} = cast(:type as text)
    and {start} = {at}
    and {id} > touched.after
    {only}
