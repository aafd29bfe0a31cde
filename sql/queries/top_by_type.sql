-- Bytes of the last hours per antenna, app or user, most first: the largest of each type.
select
    type,
    id,
    value
from (
    select
        type,
        id,
        sum(value)::bigint as value,
        row_number() over (partition by type order by sum(value) desc, id) as place
    from usage_hourly
    where timestamp > now() - interval '24 hours'
    group by type, id
) as ranked
where place <= 8
order by type, place;
