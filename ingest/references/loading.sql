-- name: stage
-- The rows of a file, in the order in which they stand there.
create temporary table loaded (
    place bigint not null,
    id text collate "C" not null,
    data jsonb not null
) on commit drop;

-- name: repeated
-- Rows whose id stands further above in the file, too: the first one counts. Removes them.
with repeated as (
    delete from loaded
    using loaded as earlier
    where loaded.id = earlier.id and loaded.place > earlier.place
    returning loaded.place, loaded.id
)

select
    place,
    id
from repeated
order by place;

-- name: upsert
-- Adds new rows and changes rows that differ. Equal rows stay as they are, with their changed_at.
with applied as (
    insert into reference_table as stored (id, data)
    select
        id,
        data
    from loaded
    order by id
    on conflict (id) do update
        set
            data = excluded.data,
            changed_at = now()
        where stored.data is distinct from excluded.data
    -- A row that was only inserted has no transaction that locked or replaced it.
    returning stored.xmax = 0 as is_new
)

select
    count(*) filter (where is_new) as new,
    count(*) filter (where not is_new) as changed
from applied;

-- name: remove
-- Removes the rows that the file does not have.
delete from reference_table as stored
where not exists (
    select from loaded
    where loaded.id = stored.id
)
